select options, count(*) as sessions, count(distinct "user") as users,
  avg(epoch(ended - started)) as mean,
  median(epoch(ended - started)) as median,
  sum(active_seconds) as active
from sessions group by options order by sessions desc, options
