with told as (
  select day_of("at") as day, "at", "user", kind
  from events_all where kind in ('login', 'login-failed', 'logout') and "at" >= $starts and "at" < $ends
), days as (
  select hub, day, known and day >= since as hooks_known, case when known and day >= since then kind end as kind, "at", "user"
  from period_days left join told using (day), hooks_since
)
select hub, 'all' as "of", case when bool_or(hooks_known) then count(distinct "user") filter (where kind = 'login') end as users,
  case when bool_or(hooks_known) then count(distinct day) filter (where kind = 'login') end as days,
  case when bool_or(hooks_known) then count(*) filter (where kind = 'login') end as logins,
  case when bool_or(hooks_known) then count(*) filter (where kind = 'login-failed') end as failed,
  case when bool_or(hooks_known) then count(*) filter (where kind = 'logout') end as logouts, max("at") filter (where kind = 'login') as last
from days group by hub order by hub
