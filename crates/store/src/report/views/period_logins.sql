select hub, day,
       count(*) filter (where kind = 'login') as logins,
       count(distinct case when kind = 'login' then "user" end) as users,
       count(*) filter (where kind = 'login-failed') as failed,
       count(*) filter (where kind = 'logout') as logouts
from period_events
where kind in ('login', 'login-failed', 'logout')
group by hub, day
