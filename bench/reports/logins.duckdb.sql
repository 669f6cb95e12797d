with told as (
  select day_of("at") as day, count(*) filter (where kind = 'login') as logins, count(distinct "user") filter (where kind = 'login') as users,
    count(*) filter (where kind = 'login-failed') as failed, count(*) filter (where kind = 'logout') as logouts
  from events_all where kind in ('login', 'login-failed', 'logout') and "at" >= $starts and "at" < $ends group by all
)
select hub, day, case when known and day >= since then coalesce(logins, 0) end as logins,
  case when known and day >= since then coalesce(users, 0) end as users, case when known and day >= since then coalesce(failed, 0) end as failed,
  case when known and day >= since then coalesce(logouts, 0) end as logouts
from period_days left join told using (day), hooks_since order by hub, day
