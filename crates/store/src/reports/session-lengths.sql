-- title: Lengths of sessions
-- section: Sessions
-- question: How many servers are started, and how long do they run?
-- definition: The servers that were started in the period, on days that are known, in all or by day, week, month,
--   user, server, image or option. A server belongs to the day of the hub's calendar on which it started, with its
--   whole length, however long it runs on, of members of a group as far as the membership goes; weeks begin on
--   Monday. `hours` are those of all of these servers, of running ones up to now. `mean`, `median` and `p90` are the
--   lengths of those that ended: half of them were at most `median` long, nine of ten at most `p90`, interpolated
--   between neighbours. What was not told is `(unknown)`, an option that was not chosen `(none)`, and the server
--   without a name `(default)`.
-- scope: group, user
-- needs: sessions
-- readers: owner, user
-- hidden-from-owners: running, by=user, by=server, by=image, by=option
-- parameter: by = nothing (nothing, day, week, month, user, server, image, option) What a row is about.
-- parameter: option = profile (text) Which of the options with `by=option`.
-- column: hub text The hub.
-- column: of name The day, the week's Monday, the month, or the name that the row is about; `all` without a choice.
-- column: sessions count Servers that were started.
-- column: running count Those of them that still run.
-- column: hours hours How long they ran, all together.
-- column: mean hours Mean length of those that ended.
-- column: median hours Their median length.
-- column: p90 hours Nine of ten of them were at most so long.
-- caveat: Servers that still run have no length yet, so that the last days look shorter than they will.
-- chart: rows x=of y=median,p90 top=30
with days as (
    select hub, day, known,
        case $by
            when 'nothing' then 'all'
            when 'day' then to_char(day, '%Y-%m-%d')
            when 'week' then to_char(week, '%Y-%m-%d')
            when 'month' then to_char(month, '%Y-%m')
        end as unit
    from period_days
),
begun as (
    select hub, known,
        case $by
            when 'user' then user
            when 'server' then case server when '' then '(default)' else server end
            when 'image' then coalesce(image, '(unknown)')
            when 'option' then case
                when options is null then '(unknown)'
                else coalesce(json_as_text(coalesce(options, '{}'), cast($option as text)), '(none)')
            end
            else unit
        end as of,
        seconds / 3600 as hours, is_running
    from days join period_sessions using (hub, day)
    where known
    union all
    -- A row of no session for each unit of time, so that one in which nothing was started is there, too.
    select hub, known, unit, null, null
    from days
    where unit is not null
)
select hub, of,
    case when bool_or(known) then count(hours) end as sessions,
    case when bool_or(known) then count(*) filter (where is_running) end as running,
    case when bool_or(known) then coalesce(sum(hours), 0.0) end as hours,
    avg(hours) filter (where not is_running) as mean,
    median(hours) filter (where not is_running) as median,
    percentile_cont(hours, 0.9) filter (where not is_running) as p90
from begun
group by hub, of
-- Units of time in their order, everything else by how much it ran.
order by hub, case when $by in ('user', 'server', 'image', 'option') then hours end desc, of
