-- What was short in the period, by the rule that the report `shortages` tells: a row for each person who
-- was affected, and one of nobody where there may be none. `known`: the sessions of all of its days are.
-- Counters are compared over the days before the period, of which a report reads one.
with readings as (
    select hub, in_period, "at", resolution,
        -- `machine`, `pool`, `pods` or `jupyterhub`
        split_part(name, '_', 1) as source,
        json_get_str(labels, 'pool') as pool,
        name,
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
    select hub, in_period, "at", resolution, source, pool,
        max(most) filter (where name like '%_cpu_used_cores') / nullif(max(most) filter (where name like '%_cpu_capacity_cores'), 0) as cpu_used,
        max(most) filter (where name like '%_cpu_requested_cores') / nullif(max(most) filter (where name like '%_cpu_allocatable_cores'), 0) as cpu_requested,
        max(most) filter (where name like '%_memory_used_bytes') / nullif(max(most) filter (where name like '%_memory_capacity_bytes'), 0) as memory_used,
        max(most) filter (where name like '%_memory_requested_bytes') / nullif(max(most) filter (where name like '%_memory_allocatable_bytes'), 0) as memory_requested,
        max(counted) filter (where name = 'machine_oom_kills_total') as kills,
        max(most) filter (where name = 'pods_unschedulable') as unschedulable,
        -- The hub counts by reason, before its version 6 by status; a count that it does not tell yet is 0.
        sum(case when reason in ('throttled', 'too-many-users') then counted else 0 end) as refusals
    from readings
    group by hub, in_period, "at", resolution, source, pool
),
-- Counters begin at 0 with the machine and with the hub.
counters as (
    select *,
        kills - case when kills < kills_before then 0 else kills_before end as new_kills,
        refusals - case when refusals < refusals_before then 0 else refusals_before end as new_refusals
    from (
        select *,
            -- Not every reading could read them.
            lag(kills) ignore nulls over so_far as kills_before,
            lag(refusals) over so_far as refusals_before
        from moments
        window so_far as (partition by hub, source, pool order by "at")
    )
),
judged as (
    select hub, "at", resolution, what,
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
    from (values ('cpu'), ('memory'), ('slots')) as whats (what) cross join counters
    where in_period
),
short as (
    select hub, what, pool, resolution, share,
        case resolution when 60 then "at" - interval '1 minute' else "at" end as starts,
        case resolution when 60 then "at" else "at" + interval '1 hour' end as ends,
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
    select s.hub, d.day, s.what, s.pool, s.started, s.ended, s.minutes, s.worst,
        bool_and(d.known) over (partition by s.hub, s.what, s.pool, s.started) as known
    from (select *, unnest(days_of(hub, started, ended)) as day from shortages) s
        join period_days d on d.hub = s.hub and d.day = s.day
),
present as (
    select hub, "user", started as since, until, unnest(days_of(hub, started, until)) as day, false as by_slots_only
    from period_sessions
    union all
    select hub, "user", "at" as since, "at" as until, day, true as by_slots_only
    from period_events
    where kind = 'spawn-failed'
)
select distinct days.hub, what, pool, started, ended, minutes, worst, known, "user"
from days
    left join present on days.hub = present.hub and days.day = present.day
        and since < ended and until > started
        and (what = 'slots' or not by_slots_only)
