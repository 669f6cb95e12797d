-- title: Starts that failed
-- section: Operation
-- question: Why do servers not start?
-- definition: Attempts to start a server that failed, by reason, with the most frequent first. The hooks in the hub
--   tell the class of the error as its reason, or what a site's own code gave as the reason. What they tell counts from
--   the first day on which they told anything to the last. On other days, if no group or user is asked for, the hub's
--   own counters do: the reason is theirs, or the outcome where they have none, and `error` is what is left of that
--   without those that `exited`, which the hub counts twice. Counters count by what they grew from one hour with
--   readings to the next, from 0 where they fell or were not there; growth over midnight belongs to the later day, and
--   to no day if the hour before, of another day, began more than two hours earlier.
-- scope: group, user
-- lead: 1 days
-- needs: hooks
-- readers: owner, user, share
-- people: users split by reason, source
-- column: hub text The hub.
-- column: reason text Why, as the hub calls it; `unknown` if it was not told.
-- column: failures count Attempts that failed.
-- column: users count People whose server did not start; empty where the hub only counted.
-- column: last time The last of them; where the hub only counted, the beginning of that hour.
-- column: source text `hooks` if each attempt was told, `counters` if the hub only counted.
-- caveat: Counters of the hub include accounts that are left out.
-- chart: rows x=reason y=failures series=source
with -- Where there are no hooks the hub's counters, by the hour, whether they are kept by the minute or by the hour.
hours as (
    select hub, day, date_trunc('hour', at) as hour, name, labels,
        min(coalesce(min, value)) as lowest,
        max(coalesce(max, value)) as highest,
        last_value(coalesce(last, value) order by at, coalesce(last, value)) as last
    from period_observations o
    where exists (select 1 from period_days d where d.hub = o.hub and d.day = o.day and not hooks_known)
        and $group is null and $user is null
        and name = 'jupyterhub_server_spawn_duration_seconds_count'
    group by hub, day, date_trunc('hour', at), name, labels
),
numbered as (
    select *, dense_rank() over (partition by hub order by hour, day) as reading from hours
),
-- A counter that was not there counts from 0: most appear when they count for the first time.
compared as (
    select hub, day, hour, name, labels, lowest, highest, last,
        case when lag(reading) over own = reading - 1 then lag(last) over own else 0.0 end as before,
        max(day) over reading_before as day_before,
        max(hour) over reading_before as hour_before
    from numbered
    window own as (partition by hub, name, labels order by reading),
        reading_before as (partition by hub order by reading range between 1 preceding and 1 preceding)
),
-- One that fell began anew, with a new process of the hub.
grown as (
    select hub, day, hour, name, labels,
        sum(case
            when lowest >= before and last >= highest then last - before
            when last >= highest then last
            else last + greatest(highest - before, 0.0)
        end) as n
    from compared
    where day_before = day or seconds_between(hour_before, hour) <= 7200
    group by hub, day, hour, name, labels
),
counted as (
    select hub, hour, coalesce(json_get_str(labels, 'reason'), status) as reason, n
    from (select *, json_get_str(labels, 'status') as status from grown)
        join period_days using (hub, day)
    where in_period and status <> 'success'
),
failed as (
    select hub, coalesce(json_get_str(detail, 'error_type'), 'unknown') as reason, 1.0 as n, user, at, 'hooks' as source
    from period_events
    where in_period and kind = 'spawn-failed' and source = 'hooks'
    union all
    -- Where all errors of an hour exited, none of them was the last one.
    select hub, reason, n, null, case when reason <> 'error' or n > exited then hour end, 'counters'
    from (
        select *, sum(case reason when 'exited' then n else 0.0 end) over (partition by hub, hour) as exited
        from counted
    )
    where n > 0
    union all
    -- An attempt whose server exited is among those without a reason, too.
    select hub, 'error', -n, null, null, 'counters' from counted where reason = 'exited'
)
select hub, reason,
    cast(sum(n) as bigint) as failures,
    case when source = 'hooks' then count(distinct user) end as users,
    max(at) as last, source
from failed
group by hub, reason, source
having sum(n) > 0
order by hub, failures desc, reason, source
