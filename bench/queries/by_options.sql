-- How many sessions each choice had, how long they were, and who made it.
select options, count(*) as sessions, count(distinct "user") as users,
  avg(extract(epoch from ended) - extract(epoch from started)) as mean,
  median(extract(epoch from ended) - extract(epoch from started)) as median,
  sum(active_seconds) as active
from sessions group by options order by sessions desc, options
