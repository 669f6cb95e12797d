-- How many sessions each choice had, how long they were, and who made it.
select options, count(*) as sessions, count(distinct "user") as users,
  avg(extract(epoch from ended - started)) as mean,
  approx_percentile_cont(0.5) within group (order by extract(epoch from ended - started)) > 0 as has_median,
  sum(active_seconds) as active
from sessions group by options order by sessions desc, options
