select "user", count(*) as days, sum(sessions) as sessions, sum(hours) as hours, max(day) as last
from user_days group by "user" order by hours desc, "user" limit 1000
