with weeks as (
  select hub, week, count(*) over (partition by hub) as weeks from period_days group by hub, week having count(*) filter (where known and is_over) = 7
), whole_days as (
  select hub, day, weeks from period_days join weeks using (hub, week)
), people as (
  select hub, "user", weeks, sum(hours) / weeks as server_hours,
    case when count(active_seconds) = count(*) then sum(active_seconds) / 3600 / weeks end as active_hours
  from person_days join whole_days using (hub, day) where sessions > 0 group by hub, "user", weeks
)
select hub, "user", weeks, coalesce(active_hours, server_hours) as hours_per_week,
  case when active_hours is null then 'server hours' else 'active' end as basis, round(coalesce(active_hours, server_hours), 9) >= 8 as regular
from people order by hub, round(hours_per_week, 9) desc, "user"
