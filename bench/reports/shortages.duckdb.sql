-- lead: 1 days
select hub, what, pool, started, ended, minutes, worst, case when known then count(distinct "user") end as users
from period_shortages group by hub, what, pool, started, ended, minutes, worst, known
order by hub, started, what, pool
