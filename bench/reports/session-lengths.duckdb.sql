with begun as (
  select hub, seconds / 3600 as hours from period_sessions join period_days using (hub, day) where known
), units as (
  select hub, bool_or(known) as known from period_days group by hub
)
select hub, 'all' as "of", case when known then count(hours) end as sessions, case when known then 0 end as running,
  case when known then coalesce(sum(hours), 0) end as hours, avg(hours) as mean, median(hours) as median, quantile_cont(hours, 0.9) as p90
from units left join begun using (hub) group by hub, known order by hub
