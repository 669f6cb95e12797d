-- What the reports read, in DuckDB. A report's query names some of these views; those are made, in this order. $from, $to
-- and $first (with the report's lead-in) are dates, $starts and $ends the moments at which the first day begins and the
-- last one ends. day_of and start_of are macros without ICU, which takes six times as long: duck_report.py writes the
-- changes of the hub's clock into them. The history is that of one hub.

-- view: sessions
select * from sessions_all where not withdrawn qualify row_number() over (partition by id order by revision desc) = 1

-- view: usage
select * from usage_all qualify row_number() over (partition by id order by revision desc) = 1

-- view: storage
select * from storage_all qualify row_number() over (partition by id order by revision desc) = 1

-- view: period_days
with readings as (
  select min("at") as first from observations_all where name in ('api_active_servers', 'api_users', 'jupyterhub_running_servers')
), watched as (
  select distinct day_of("at") as day from observations_all
  where name in ('api_active_servers', 'api_users', 'jupyterhub_running_servers') and "at" >= $starts and "at" < $ends
), begun as (
  select min(started) as first from sessions_all
), days as (
  select cast(midnight as date) as day, watched.day is not null as is_watched
  from generate_series(cast($first as date), cast($to as date), interval 1 day) as midnights (midnight)
    left join watched on watched.day = midnight
)
select $hub as hub, day, start_of(day) as starts, start_of(day + 1) as ends, cast(date_trunc('week', day) as date) as week,
  cast(date_trunc('month', day) as date) as month, isodow(day) as weekday, day >= $from as in_period,
  start_of(day + 1) <= now() as is_over,
  day >= day_of(least(begun.first, readings.first)) as in_history,
  day >= day_of(least(begun.first, readings.first)) and (is_watched or day < coalesce(day_of(readings.first), day + 1)) as known
from days, readings, begun

-- view: members_since
select day_of(min("at")) as since from memberships_all

-- view: accounts_since
select day_of(min("at")) as since from events_all where kind = 'user-added' and source = 'poll'

-- view: hooks_since
select day_of(min("at")) as since from events_all where source = 'hooks'

-- view: storage_days
select distinct day from storage_all where day >= $first and day <= $to

-- view: usage_days
select distinct day_of(hour) as day from usage_all where hour >= $starts and hour < $ends

-- view: period_sessions
select * from (
  select hub, "user", server, started, ended, ended as until, day_of(started) as day,
    day_of(greatest(started, ended - interval 1 microsecond)) as last_day,
    (epoch_us(ended) - epoch_us(started)) / 1e6 as seconds, end_reason, active_seconds, options, image
  from sessions
  where started < $ends and ended >= $starts
)
where day <= $to and last_day >= $first

-- view: session_days
select hub, "user", day, started, until, active_seconds, first_day = last_day as is_of_one_day,
  (least(epoch_us(until), epoch_us(start_of(day + 1))) - greatest(epoch_us(started), epoch_us(start_of(day)))) / 1e6 as seconds
from (
  select hub, "user", started, until, active_seconds, day as first_day, last_day,
    unnest(range(greatest(day, cast($first as date)) - date '1970-01-01', least(last_day, cast($to as date)) - date '1970-01-01' + 1))::int + date '1970-01-01' as day
  from period_sessions
)

-- view: period_started_days
select hub, day, "user", count(*) as sessions, sum(seconds) / 3600 as hours
from session_days group by hub, day, "user"

-- view: activity
with long as (
  select "user", server, started, until from period_sessions where day < last_day and active_seconds is not null
), told as (
  select "user", server, cast(detail ->> 'started' as timestamptz) as started, detail
  from events_all
  where kind = 'server-activity' and source = 'poll' and "at" >= (select min(started) from long)
), hours as (
  select "user", server, started, until, hour, max(seconds) as seconds
  from (
    select "user", server, started, until, unnest(map_keys(by_hour)) as hour, unnest(map_values(by_hour)) as seconds
    from (
      select long.*, from_json(detail -> 'active_seconds_by_hour', '"MAP(VARCHAR, BIGINT)"') as by_hour
      from told join long using ("user", server, started)
    )
  )
  group by all
)
select $hub as hub, "user",
  day_of(least(greatest(cast(hour as timestamptz), started), greatest(started, until - interval 1 microsecond))) as day,
  sum(seconds) as seconds
from hours group by all

-- view: person_days
select hub, day, "user", count(seconds) as sessions, coalesce(sum(seconds), 0) / 3600 as hours,
  case when count(seconds) > 0 and count(seconds) = count(active) filter (where seconds is not null) then sum(active) end as active_seconds
from (
  select hub, day, "user", seconds, case when is_of_one_day or active_seconds is null then active_seconds else 0 end as active from session_days
  union all
  select hub, day, "user", null, seconds from activity
)
group by hub, day, "user"

-- view: used_days
select hub, day_of(hour) as day, "user", sum(cpu_core_seconds) as cpu_core_seconds,
  sum(memory_byte_seconds) as memory_byte_seconds, sum(gpu_requested_seconds) as gpu_seconds
from usage where hour >= $starts and hour < $ends group by all

-- view: member_spans
with ordered as (
  select "user", "group", "at", change, id,
    lag(change) over (partition by "user", "group" order by "at", change desc, id) as previous
  from memberships_all
), intervals as (
  select "user", "group", change, "at" as joined,
    lead("at") over (partition by "user", "group" order by "at", change desc, id) as "left"
  from ordered where previous is distinct from change
), clipped as (
  select "user", "group", joined, greatest(day_of(joined), $first) as first_day,
    least(coalesce(day_of("left" - interval 1 microsecond), $to), $to) as last_day
  from intervals where change = 'joined' and ("left" is null or "left" > joined)
)
select * from (
  select $hub as hub, "user", "group", last_day,
    greatest(first_day, coalesce(max(last_day) over (partition by "user", "group" order by joined rows between unbounded preceding and 1 preceding) + 1, first_day)) as first_day
  from clipped where first_day <= last_day
)
where first_day <= last_day

-- view: period_people
with accounts as (
  select "user", min("at") filter (where kind = 'user-added') as added_at,
    min("at") filter (where kind = 'user-added' and not_before is null) as old_at,
    max("at") filter (where kind = 'user-added') as last_added_at,
    max("at") filter (where kind = 'user-removed') as removed_at
  from events_all
  where kind in ('user-added', 'user-removed') and source = 'poll' and "at" < $ends
  group by "user"
), ran as (
  select "user", min(started) as first_started, max(started) as last_started, max(least(ended, $ends)) as last_seen,
    bool_or(ended >= $ends) as is_running
  from sessions where started < $ends group by "user"
)
select $hub as hub, "user", case when old_at is null or old_at > added_at then day_of(added_at) end as added,
  case when removed_at >= last_added_at then day_of(removed_at) end as removed,
  first_started, last_started, last_seen, coalesce(is_running, false) as is_running
from accounts full join ran using ("user")

-- view: period_usage
select *, day_of(hour) as day from usage where hour >= $starts and hour < $ends

-- view: period_shortages
with readings as (
  select day_of("at") >= $from as in_period, "at", case when n is null then 60 else 3600 end as resolution, split_part(name, '_', 1) as source,
    labels ->> 'pool' as pool, name, coalesce(max, value) as most, coalesce(last, value) as counted,
    coalesce(labels ->> 'reason', labels ->> 'status') as reason
  from observations_all
  where "at" >= $starts and "at" < $ends and name in (
    'machine_cpu_capacity_cores', 'machine_cpu_used_cores', 'machine_memory_capacity_bytes', 'machine_memory_used_bytes', 'machine_oom_kills_total',
    'pool_cpu_capacity_cores', 'pool_cpu_used_cores', 'pool_cpu_allocatable_cores', 'pool_cpu_requested_cores', 'pool_memory_capacity_bytes',
    'pool_memory_used_bytes', 'pool_memory_allocatable_bytes', 'pool_memory_requested_bytes', 'pods_unschedulable',
    'jupyterhub_server_spawn_duration_seconds_count')
), moments as (
  select in_period, "at", resolution, source, pool,
    max(most) filter (where name like '%\_cpu\_used\_cores' escape '\') / nullif(max(most) filter (where name like '%\_cpu\_capacity\_cores' escape '\'), 0) as cpu_used,
    max(most) filter (where name like '%\_cpu\_requested\_cores' escape '\') / nullif(max(most) filter (where name like '%\_cpu\_allocatable\_cores' escape '\'), 0) as cpu_requested,
    max(most) filter (where name like '%\_memory\_used\_bytes' escape '\') / nullif(max(most) filter (where name like '%\_memory\_capacity\_bytes' escape '\'), 0) as memory_used,
    max(most) filter (where name like '%\_memory\_requested\_bytes' escape '\') / nullif(max(most) filter (where name like '%\_memory\_allocatable\_bytes' escape '\'), 0) as memory_requested,
    max(counted) filter (where name = 'machine_oom_kills_total') as kills, max(most) filter (where name = 'pods_unschedulable') as unschedulable,
    sum(case when reason in ('throttled', 'too-many-users') then counted else 0 end) as refusals
  from readings group by all
), counters as (
  select *, kills - case when kills < lag(kills) over so_far then 0 else lag(kills) over so_far end as new_kills,
    refusals - case when refusals < lag(refusals) over so_far then 0 else lag(refusals) over so_far end as new_refusals
  from moments window so_far as (partition by source, pool order by "at")
), judged as (
  select "at", resolution, what, case source when 'pool' then pool when 'pods' then 'cluster' when 'jupyterhub' then 'hub' else source end as pool,
    case what when 'cpu' then greatest(cpu_used, cpu_requested) when 'memory' then greatest(memory_used, memory_requested) end as share,
    case what when 'cpu' then cpu_used >= 0.95 or cpu_requested >= 0.98
      when 'memory' then memory_used >= 0.95 or memory_requested >= 0.98 or new_kills > 0
      else unschedulable > 0 or new_refusals > 0 end as is_short
  from counters, (values ('cpu'), ('memory'), ('slots')) as whats (what) where in_period
), short as (
  select what, pool, resolution, share, case resolution when 60 then "at" - interval 1 minute else "at" end as starts,
    case resolution when 60 then "at" else "at" + interval 1 hour end as ends,
    case resolution when 60 then interval 90 second else interval 90 minute end as patience
  from judged where is_short
), cut as (
  select *, case when starts <= lag(ends) over so_far + patience then 0 else 1 end as is_first
  from short window so_far as (partition by what, pool order by starts)
), numbered as (
  select *, sum(is_first) over (partition by what, pool order by starts) as number from cut
), shortages as (
  select what, pool, min(starts) as started, max(ends) as ended, sum(resolution) / 60 as minutes, max(share) as worst from numbered group by what, pool, number
), known as (
  select what, pool, started, bool_and(known) as known
  from shortages left join period_days on day between day_of(started) and day_of(ended - interval 1 microsecond) group by all
), present as (
  select "user", started as since, until, false as by_slots_only from period_sessions where until > (select min(started) from shortages) and started < (select max(ended) from shortages)
  union all
  select "user", "at", "at", true from events_all where kind = 'spawn-failed' and "at" >= $starts and "at" < $ends
)
select distinct $hub as hub, what, shortages.pool, shortages.started, shortages.ended, minutes, worst, known, "user"
from shortages join known using (what, pool, started)
  left join present on since < shortages.ended and until > shortages.started and (what = 'slots' or not by_slots_only)
