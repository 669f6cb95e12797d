select options, count(*) as sessions, count(distinct "user") as users,
  avg(epoch(ended - started)) as mean,
  approx_quantile(epoch(ended - started), 0.5) > 0 as has_median,
  sum(active_seconds) as active
from sessions group by options order by sessions desc, options
