with homes as (
  select hub, day, count(*) as users, sum(home_bytes) as total_bytes, median(home_bytes) as median_bytes,
    quantile_cont(home_bytes, 0.9) as p90_bytes, max(home_bytes) as peak_bytes
  from storage where day >= $from and day <= $to group by all
)
select hub, period_days.day, case when storage_days.day is not null then coalesce(users, 0) end as users, total_bytes, median_bytes, p90_bytes, peak_bytes,
  total_bytes - first_value(total_bytes ignore nulls) over (partition by hub order by period_days.day) as growth_bytes
from period_days left join homes using (hub, day) left join storage_days using (day) order by hub, period_days.day
