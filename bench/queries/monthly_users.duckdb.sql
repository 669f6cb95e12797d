select cast(date_trunc('month', day) as date) as month, count(distinct "user") as users, sum(hours) as hours
from user_days group by 1 order by 1
