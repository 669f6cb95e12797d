-- lead: 1 days
with days as (
  select day, in_period, known and coalesce(day >= since, false) as hooks_known from period_days, hooks_since
), hours as (
  select day, date_trunc('hour', "at") as hour, name, labels, min(coalesce(min, value)) as lowest, max(coalesce(max, value)) as highest,
    arg_max(coalesce(last, value), ("at", coalesce(last, value))) as last
  from observations_all join days on day = day_of("at")
  where name = 'jupyterhub_server_spawn_duration_seconds_count' and "at" >= $starts and "at" < $ends and not hooks_known group by all
), numbered as (
  select *, dense_rank() over (order by hour, day) as reading from hours
), compared as (
  select *, case when lag(reading) over own = reading - 1 then lag(last) over own else 0 end as before,
    max(day) over reading_before as day_before, max(hour) over reading_before as hour_before
  from numbered
  window own as (partition by name, labels order by reading), reading_before as (order by reading range between 1 preceding and 1 preceding)
), grown as (
  select day, hour, labels, sum(case when lowest >= before and last >= highest then last - before when last >= highest then last
      else last + greatest(highest - before, 0) end) as n
  from compared where day_before = day or hour - hour_before <= interval 2 hour group by all
), counted as (
  select hour, coalesce(labels ->> 'reason', labels ->> 'status') as reason, n
  from grown join days using (day) where in_period and labels ->> 'status' <> 'success'
), failed as (
  select coalesce(detail ->> 'error_type', 'unknown') as reason, 1.0 as n, "user", "at", 'hooks' as source
  from events_all where kind = 'spawn-failed' and source = 'hooks' and "at" >= $starts and "at" < $ends and day_of("at") >= $from
  union all
  select reason, n, null, case when reason <> 'error' or n > exited then hour end, 'counters'
  from (select *, sum(case reason when 'exited' then n else 0 end) over (partition by hour) as exited from counted) where n > 0
  union all
  select 'error', -n, null, null, 'counters' from counted where reason = 'exited'
)
select $hub as hub, reason, sum(n)::bigint as failures, case when source = 'hooks' then count(distinct "user") end as users, max("at") as last, source
from failed group by reason, source having sum(n) > 0 order by hub, failures desc, reason, source
