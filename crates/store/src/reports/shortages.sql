-- title: Shortages
-- section: Resources
-- question: How often, when and how long did the hub run out of processor time, memory or room for servers, and who was affected?
-- definition: A reading of the ceilings stands for the minute before it; one of a day so long ago that only hours are
--   kept stands for its hour and tells the worst moment of it. `cpu` is short in a reading if at least 95 % of the
--   capacity of the machine or pool of nodes is used, or at least 98 % of what the pool's nodes can give to pods is
--   requested. `memory` is short by the same rule, and also if the kernel of the machine killed a process for want of
--   memory since the reading before. `slots` are short if a pod of a user found no node (`cluster`), or if the hub
--   refused a start since the reading before because too many servers ran or too many were starting (`hub`). Short
--   readings with no more than 90 seconds between them (90 minutes for readings by the hour) are one shortage, so that a
--   single reading that was better or is missing does not cut it; `minutes` are those of its short readings alone.
--   Affected is who had a running server at some moment from its start to its end; by a shortage of slots also whose
--   start failed then, where the hub's hooks tell it. A pod that is killed at its own limit is no shortage of the hub.
-- scope: group, user
-- lead: 1 days
-- needs: sessions
-- column: hub text The hub.
-- column: what text `cpu`, `memory` or `slots`.
-- column: pool text `machine`, or the pool of nodes; of slots `cluster` or `hub`.
-- column: started time When it began, to the minute or to the hour.
-- column: ended time When it ended.
-- column: minutes number How long it was short in between.
-- column: worst share Largest share that was used, or requested, in the short readings; empty for slots.
-- column: users count People who were affected; empty if the sessions of one of its days are not known.
-- caveat: From 60 days on readings are kept by the hour: a single short minute then makes the whole hour short.
-- caveat: Somebody was affected who was there; whether they noticed is not known.
-- caveat: A hub whose ceilings are not read has no rows, and neither has one that never ran short.
with readings as (
    select hub, in_period, at, resolution,
        -- `machine`, `pool`, `pods` or `jupyterhub`
        split_part(name, '_', 1) as source,
        json_get_str(labels, 'pool') as pool,
        name, value,
        coalesce(max, value) as most,
        coalesce(last, value) as counted,
        coalesce(json_get_str(labels, 'reason'), json_get_str(labels, 'status')) as reason
    from period_observations
    where name in (
        'machine_cpu_capacity_cores', 'machine_cpu_used_cores',
        'machine_memory_capacity_bytes', 'machine_memory_used_bytes', 'machine_oom_kills_total',
        'pool_cpu_capacity_cores', 'pool_cpu_used_cores', 'pool_cpu_allocatable_cores', 'pool_cpu_requested_cores',
        'pool_memory_capacity_bytes', 'pool_memory_used_bytes', 'pool_memory_allocatable_bytes', 'pool_memory_requested_bytes',
        'pods_unschedulable', 'jupyterhub_server_spawn_duration_seconds_count'
    )
),
-- One row for all that was read of one thing at a moment.
moments as (
    select hub, in_period, at, resolution, source, pool,
        max(most) filter (where name like '%_cpu_used_cores') / nullif(max(value) filter (where name like '%_cpu_capacity_cores'), 0) as cpu_used,
        max(most) filter (where name like '%_cpu_requested_cores') / nullif(max(value) filter (where name like '%_cpu_allocatable_cores'), 0) as cpu_requested,
        max(most) filter (where name like '%_memory_used_bytes') / nullif(max(value) filter (where name like '%_memory_capacity_bytes'), 0) as memory_used,
        max(most) filter (where name like '%_memory_requested_bytes') / nullif(max(value) filter (where name like '%_memory_allocatable_bytes'), 0) as memory_requested,
        max(counted) filter (where name = 'machine_oom_kills_total') as kills,
        max(most) filter (where name = 'pods_unschedulable') as unschedulable,
        -- The hub counts by reason, before its version 6 by status.
        sum(counted) filter (where reason in ('throttled', 'too-many-users')) as refusals
    from readings
    group by hub, in_period, at, resolution, source, pool
),
-- Counters begin at 0 with the machine and with the hub.
counters as (
    select *,
        kills - case when kills < lag(kills) over so_far then 0 else lag(kills) over so_far end as new_kills,
        refusals - case when refusals < lag(refusals) over so_far then 0 else lag(refusals) over so_far end as new_refusals
    from moments
    window so_far as (partition by hub, source, pool order by at)
),
judged as (
    select hub, at, resolution, what,
        case source when 'pool' then pool when 'pods' then 'cluster' when 'jupyterhub' then 'hub' else source end as pool,
        case what
            when 'cpu' then greatest(cpu_used, cpu_requested)
            when 'memory' then greatest(memory_used, memory_requested)
        end as share,
        case what
            when 'cpu' then cpu_used >= 0.95 or cpu_requested >= 0.98
            when 'memory' then memory_used >= 0.95 or memory_requested >= 0.98 or new_kills > 0
            else unschedulable > 0 or new_refusals > 0
        end as is_short
    from counters cross join (values ('cpu'), ('memory'), ('slots')) as whats (what)
    where in_period
),
short as (
    select hub, what, pool, resolution, share,
        case resolution when 60 then at - interval '1 minute' else at end as starts,
        case resolution when 60 then at else at + interval '1 hour' end as ends,
        case resolution when 60 then interval '90 seconds' else interval '90 minutes' end as patience
    from judged
    where is_short
),
cut as (
    select *,
        case when starts <= lag(ends) over so_far + patience then 0 else 1 end as is_first
    from short
    window so_far as (partition by hub, what, pool order by starts)
),
numbered as (
    select *, sum(is_first) over (partition by hub, what, pool order by starts) as number
    from cut
),
shortages as (
    select hub, what, pool,
        min(starts) as started,
        max(ends) as ended,
        sum(resolution) / 60.0 as minutes,
        max(share) as worst
    from numbered
    group by hub, what, pool, number
),
-- By days, since moments alone would have to be compared each with each.
days as (
    select *, unnest(days_of(hub, started, ended)) as day
    from shortages
),
present as (
    select hub, user, started as since, until, unnest(days_of(hub, started, until)) as day, false as by_slots_only
    from period_sessions
    union all
    select hub, user, at as since, at as until, day, true as by_slots_only
    from period_events
    where kind = 'spawn-failed'
)
select days.hub, what, pool, started, ended, minutes, worst,
    case when bool_and(known) then count(distinct user) end as users
from days
    join period_days on days.hub = period_days.hub and days.day = period_days.day
    left join present on days.hub = present.hub and days.day = present.day
        and since < ended and until > started
        and (what = 'slots' or not by_slots_only)
group by days.hub, what, pool, started, ended, minutes, worst
order by hub, started, what, pool
