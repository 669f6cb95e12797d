select cast(date_trunc('week', ended) as date) as week, end_reason, count(*) as sessions
from sessions group by 1, 2 order by 1, 2
