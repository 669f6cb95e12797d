-- lead: 29 days
with came as (
  select hub, day, "user", active_seconds from person_days join period_days using (hub, day) where known and sessions > 0
), visits as (
  select hub, day, active_seconds, least(coalesce(lead(day) over (partition by hub, "user" order by day) - day, 30), 30) as until_next from came
), alike as (
  select hub, day, until_next, count(*) as people, count(*) filter (where active_seconds > 0) as active, count(active_seconds) as told
  from visits group by all
), steps as (
  select hub, length, step, people, active, told, case step when 1 then day else day + cast(least(until_next, length) as integer) end as day
  from alike, (values (1), (7), (30)) as windows (length), (values (1), (-1)) as steps (step)
), changes as (
  select hub, day, sum(step * people) filter (where length = 1) as users, sum(step * people) filter (where length = 7) as weekly,
    sum(step * people) filter (where length = 30) as monthly, sum(active) filter (where length = 1 and step = 1) as active,
    sum(told) filter (where length = 1 and step = 1) as told
  from steps group by all
), rolling as (
  select hub, day, in_period, known, active, told, sum(coalesce(users, 0)) over days as users, sum(coalesce(weekly, 0)) over days as weekly,
    sum(coalesce(monthly, 0)) over days as monthly, lag(in_history, 6, false) over days and 2 * count(*) filter (where known) over week >= 7 as has_week,
    lag(in_history, 29, false) over days and 2 * count(*) filter (where known) over month >= 30 as has_month
  from period_days left join changes using (hub, day)
  window days as (partition by hub order by day), week as (partition by hub order by day rows 6 preceding),
    month as (partition by hub order by day rows 29 preceding)
)
select hub, day, case when known then users end as users, case when known and has_week then weekly end as weekly,
  case when known and has_month then monthly end as monthly,
  case when known and (users = 0 or told > 0) then coalesce(active, 0) end as active
from rolling where in_period order by hub, day
