with readings as (
  select day_of("at") as day, sum(coalesce(n, 1)) filter (where name = 'pods_unschedulable') as looks,
    sum(value * coalesce(n, 1)) filter (where labels ->> 'phase' = 'Running') as held,
    sum(value * coalesce(n, 1)) filter (where labels ->> 'phase' = 'Pending') as waiting
  from observations_all where name in ('pods_unschedulable', 'pods_placeholder') and "at" >= $starts and "at" < $ends group by all
), starts as (
  select hub, day, count(*) over (partition by hub, day order by started range between interval 10 minute preceding and current row) as within_ten_minutes
  from period_sessions
), needs as (
  select hub, day, max(within_ten_minutes) as needed from starts group by all
)
select hub, day, coalesce(held, 0) / looks as held, coalesce(waiting, 0) / looks as waiting, case when known then coalesce(needed, 0) end as needed
from period_days left join needs using (hub, day) left join readings using (day) order by hub, day
