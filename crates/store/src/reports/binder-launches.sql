-- title: Binder launches
-- section: Binder
-- question: What is launched on the BinderHub, and how often?
-- definition: Launches that a BinderHub told, by repository, provider, or day of the hub's calendar, with the most
--   launched first. A repository is the provider with the part of the launch's `spec` that names it: of GitHub and Gist the
--   first two parts (owner and name), of GitLab and Git the first part (the encoded address), of others all of it. So all
--   branches and versions of a repository count together. `succeeded` are those whose status is `success`.
-- scope: none
-- needs: none
-- readers: none
-- parameter: by = repository (repository, provider, day) What a row is about.
-- column: hub text The hub.
-- column: of text The repository, the provider or the day; `(unknown)` if it was not told.
-- column: launches count Launches; empty for a day on which nothing was collected.
-- column: succeeded count Those of them that succeeded; empty if no status was told.
-- column: last time The last of them.
-- caveat: Times of an archive are rounded to the minute.
-- chart: rows x=of y=launches top=20
with launches as (
    select hub, day, at,
        json_get_str(detail, 'provider') as provider,
        json_get_str(detail, 'spec') as spec,
        json_get_str(detail, 'status') as status
    from period_events
    where kind = 'binder-launch'
),
named as (
    select hub, at, status, true as known,
        case $by
            when 'day' then to_char(day, '%Y-%m-%d')
            when 'provider' then provider
            else provider || '/' || case
                when provider in ('GitHub', 'Gist') then split_part(spec, '/', 1) || '/' || split_part(spec, '/', 2)
                when provider in ('GitLab', 'Git') then split_part(spec, '/', 1)
                else spec
            end
        end as of
    from launches
    union all
    -- Each day of a hub with launches, also one without any.
    select hub, null, null, known, to_char(day, '%Y-%m-%d')
    from period_days
    where $by = 'day' and hub in (select hub from launches)
)
select hub, coalesce(of, '(unknown)') as of,
    case when count(at) > 0 or bool_or(known) then count(at) end as launches,
    case when count(status) > 0 then count(*) filter (where status = 'success') end as succeeded,
    max(at) as last
from named
group by hub, coalesce(of, '(unknown)')
order by hub, case when $by <> 'day' then launches end desc, of
