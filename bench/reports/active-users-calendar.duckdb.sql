with units as (
  select hub, month as starts, cast(month + interval 1 month as date) - 1 as ends, count(*) filter (where known) as days_known,
    count(*) filter (where known and is_over) as days_complete
  from period_days group by hub, month
), people as (
  select hub, month as starts, "user", sum(hours) as hours, max(active_seconds) as active_seconds
  from person_days join period_days using (hub, day) where known and sessions > 0 group by all
), came as (
  select hub, starts, count(*) as users, count(*) filter (where active_seconds > 0) as active, count(active_seconds) as told, sum(hours) as hours
  from people group by all
), begun as (
  select hub, month as starts, count(*) as sessions from period_sessions join period_days using (hub, day) where known group by all
)
select units.hub, units.starts, ends, case when days_known > 0 then coalesce(users, 0) end as users,
  case when days_known > 0 and (users is null or told > 0) then coalesce(active, 0) end as active,
  case when days_known > 0 then coalesce(sessions, 0) end as sessions, case when days_known > 0 then coalesce(hours, 0) end as hours,
  days_complete = ends - units.starts + 1 as complete
from units left join came using (hub, starts) left join begun using (hub, starts) order by units.hub, units.starts
