-- lead: 1 days
with hours as (
  select day_of("at") as day, date_trunc('hour', "at") as hour, name, labels, min(coalesce(min, value)) as lowest, max(coalesce(max, value)) as highest,
    arg_max(coalesce(last, value), ("at", coalesce(last, value))) as last
  from observations_all
  where "at" >= $starts and "at" < $ends
    and (name in ('jupyterhub_request_duration_seconds_count', 'jupyterhub_request_duration_seconds_sum', 'jupyterhub_event_loop_interval_seconds_count')
      or name = 'jupyterhub_event_loop_interval_seconds_bucket' and labels ->> 'le' = '0.25')
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
), counted as (
  select day, sum(n) filter (where name = 'jupyterhub_request_duration_seconds_count') as requests,
    sum(n) filter (where name = 'jupyterhub_request_duration_seconds_sum') as request_seconds,
    coalesce(sum(n) filter (where name = 'jupyterhub_request_duration_seconds_count' and labels ->> 'code' = '5xx'), 0) as server_errors,
    sum(n) filter (where name = 'jupyterhub_event_loop_interval_seconds_count') as intervals,
    sum(n) filter (where name = 'jupyterhub_event_loop_interval_seconds_bucket') as short_intervals
  from grown group by day
)
select hub, day, requests::bigint as requests, request_seconds / nullif(requests, 0) as mean_seconds,
  case when requests is not null then server_errors::bigint end as server_errors, (intervals - short_intervals)::bigint as stalls,
  (intervals - short_intervals) / nullif(intervals, 0) as stall_share
from period_days left join counted using (day) where in_period order by hub, day
