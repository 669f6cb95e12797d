-- lead: 62 days
with days as (
  select hub, day, in_period, known, is_over, known and day >= since as accounts_known, month as starts from period_days, accounts_since
), units as (
  select hub, starts, cast(starts + interval 1 month as date) - starts as length, bool_or(in_period) as in_period, bool_and(accounts_known) as accounts_known,
    count(*) filter (where known) as days_known, count(*) filter (where known and in_period) as days_counted,
    count(*) filter (where known and in_period and is_over) as days_complete, count(*) filter (where in_period and is_over and not known) = 0 as has_no_gap
  from days group by hub, starts
), people as (
  select hub, "user", starts, bool_or(in_period) as in_period from session_days join days using (hub, day) where known group by all
), visits as (
  select *, lag(starts) over (partition by hub, "user" order by starts) as before from people
), kinds as (
  select hub, starts, in_period, before + interval 1 month = starts as stays, coalesce(date_trunc('month', added) = starts, false) as is_new,
    coalesce(added is not null and date_trunc('month', day_of(first_started)) = starts, false) as is_first
  from visits left join period_people using (hub, "user")
), came as (
  select hub, starts, count(*) as everybody, count(*) filter (where in_period) as users, count(*) filter (where in_period and is_new) as new,
    count(*) filter (where in_period and stays and not is_new) as staying,
    count(*) filter (where in_period and is_first and not is_new) as first_time, count(*) filter (where stays) as both_units
  from kinds group by all
), accounts as (
  select hub, starts, count(*) filter (where change = 'added') as added, count(*) filter (where change = 'removed') as removed
  from (
    select hub, added as day, 'added' as change from period_people
    union all select hub, removed, 'removed' from period_people
  ) join days using (hub, day)
  where in_period group by all
), figures as (
  select units.hub, units.starts, in_period, days_counted > 0 as known, accounts_known, days_complete = length as complete,
    has_no_gap and lag(days_known = length, 1, false) over by_hub as has_before, coalesce(users, 0) as users, coalesce(new, 0) as new,
    coalesce(staying, 0) as staying, coalesce(first_time, 0) as first_time, coalesce(lag(everybody) over by_hub, 0) - coalesce(both_units, 0) as lapsed,
    coalesce(added, 0) as accounts_added, coalesce(removed, 0) as accounts_removed
  from units left join came using (hub, starts) left join accounts using (hub, starts)
  window by_hub as (partition by units.hub order by units.starts)
)
select hub, starts, case when known then users end as users, case when accounts_known then new end as new,
  case when known and has_before then staying end as staying, case when accounts_known then first_time end as first_time,
  case when has_before and accounts_known then users - new - staying - first_time end as returning,
  case when complete and has_before then lapsed end as lapsed, case when accounts_known then accounts_added end as accounts_added,
  case when accounts_known then accounts_removed end as accounts_removed, complete
from figures where in_period order by hub, starts
