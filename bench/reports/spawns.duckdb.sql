-- lead: 1 days
with days as (
  select hub, day, in_period, known and coalesce(day >= since, false) as hooks_known from period_days, hooks_since
), told as (
  select day, count(*) filter (where kind = 'spawn-succeeded') as succeeded, count(*) filter (where kind = 'spawn-failed') as failed,
    median(seconds) as median_seconds, quantile_cont(seconds, 0.9) as p90_seconds, quantile_cont(seconds, 0.99) as p99_seconds
  from (
    select day, kind, case kind when 'spawn-succeeded' then cast(detail ->> 'seconds' as double) end as seconds
    from events_all join days on day = day_of("at") where hooks_known and source = 'hooks' and "at" >= $starts and "at" < $ends
  )
  group by day
), hours as (
  select day, date_trunc('hour', "at") as hour, name, labels, min(coalesce(min, value)) as lowest, max(coalesce(max, value)) as highest,
    arg_max(coalesce(last, value), ("at", coalesce(last, value))) as last
  from observations_all join days on day = day_of("at")
  where (name = 'jupyterhub_server_spawn_duration_seconds_count'
      or name = 'jupyterhub_server_spawn_duration_seconds_bucket' and labels like '%"status":"success"%')
    and "at" >= $starts and "at" < $ends and not hooks_known
  group by all
), numbered as (
  select *, dense_rank() over (order by hour, day) as reading from hours
), compared as (
  select *, case when lag(reading) over own = reading - 1 then lag(last) over own else 0 end as before,
    max(day) over reading_before as day_before, max(hour) over reading_before as hour_before
  from numbered
  window own as (partition by name, labels order by reading), reading_before as (order by reading range between 1 preceding and 1 preceding)
), grown as (
  select day, name, labels, sum(case when lowest >= before and last >= highest then last - before when last >= highest then last
      else last + greatest(highest - before, 0) end) as n
  from compared where day_before = day or hour - hour_before <= interval 2 hour group by all
), of_label as (
  select day, n, labels ->> 'status' as status, labels ->> 'reason' as reason, cast(labels ->> 'le' as double) as le from grown
), buckets as (
  select day, le, n, coalesce(lag(le) over up_to, 0) as le_before, coalesce(lag(n) over up_to, 0) as n_before, max(n) over (partition by day) as n_all
  from of_label where le is not null window up_to as (partition by day order by le)
), times as (
  select day, sum(seconds) filter (where part = 0.5) as median_seconds, sum(seconds) filter (where part = 0.9) as p90_seconds,
    sum(seconds) filter (where part = 0.99) as p99_seconds
  from (
    select day, part, case when le = 'Infinity'::double then le_before
      else le_before + (le - le_before) * (part * n_all - n_before) / (n - n_before) end as seconds
    from buckets, (values (0.5), (0.9), (0.99)) as parts (part) where n_before < part * n_all and part * n_all <= n
  )
  group by day
), counted as (
  select day, sum(case when status = 'success' then n else 0 end) as succeeded,
    sum(case when status = 'success' or reason = 'exited' then 0 else n end) as failed
  from of_label where le is null group by day
), figures as (
  select hub, day, coalesce(counted.succeeded, told.succeeded, case when hooks_known then 0 end) as succeeded,
    coalesce(counted.failed, told.failed, case when hooks_known then 0 end) as failed,
    coalesce(times.median_seconds, told.median_seconds) as median_seconds, coalesce(times.p90_seconds, told.p90_seconds) as p90_seconds,
    coalesce(times.p99_seconds, told.p99_seconds) as p99_seconds,
    case when counted.succeeded is not null then 'counters' when hooks_known then 'hooks' end as source
  from days left join told using (day) left join counted using (day) left join times using (day) where in_period
)
select hub, day, succeeded::bigint as succeeded, failed::bigint as failed, succeeded / nullif(succeeded + failed, 0) as success_rate,
  median_seconds, p90_seconds, p99_seconds, source
from figures order by hub, day
