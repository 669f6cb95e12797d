-- The most servers that ran at once on each UTC day: starts before ends at equal times.
with steps as (
  select started as moment, 1 as step from sessions
  union all
  select ended, -1 from sessions
), running as (
  select moment, sum(step) over (order by moment, step desc rows unbounded preceding) as servers from steps
)
select cast(moment as date) as day, max(servers) as most from running group by 1 order by 1
