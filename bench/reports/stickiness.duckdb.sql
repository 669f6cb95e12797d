-- lead: 29 days
with visits as (
  select hub, day, least(coalesce(lead(day) over (partition by hub, "user" order by day) - day, 30), 30) as until_next
  from (select distinct hub, "user", day from session_days) join period_days using (hub, day) where known
), alike as (
  select hub, day, until_next, count(*) as people from visits group by all
), steps as (
  select hub, length, step * people as change, case step when 1 then day else day + cast(least(until_next, length) as integer) end as day
  from alike, (values (1), (7), (30)) as windows (length), (values (1), (-1)) as steps (step)
), changes as (
  select hub, day, sum(change) filter (where length = 1) as daily, sum(change) filter (where length = 7) as weekly,
    sum(change) filter (where length = 30) as monthly
  from steps group by all
), rolling as (
  select hub, day, in_period, known, sum(coalesce(daily, 0)) over days as daily, sum(coalesce(weekly, 0)) over days as weekly,
    sum(coalesce(monthly, 0)) over days as monthly, lag(in_history, 6, false) over days and 2 * count(*) filter (where known) over week >= 7 as has_week,
    lag(in_history, 29, false) over days and 2 * count(*) filter (where known) over month >= 30 as has_month,
    count(*) filter (where known) over month = 30 as is_whole
  from period_days left join changes using (hub, day)
  window days as (partition by hub order by day), week as (partition by hub order by day rows 6 preceding),
    month as (partition by hub order by day rows 29 preceding)
)
select hub, day, case when known then daily end as daily, case when known and has_week then weekly end as weekly,
  case when known and has_month then monthly end as monthly,
  case when is_whole then daily / nullif(monthly, 0) end as daily_per_monthly,
  case when is_whole then weekly / nullif(monthly, 0) end as weekly_per_monthly
from rolling where in_period order by hub, day
