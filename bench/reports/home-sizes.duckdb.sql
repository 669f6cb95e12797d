with homes as (
  select hub, "user", arg_min(home_bytes, day) as first_bytes, arg_max(home_bytes, day) as last_bytes, max(home_bytes) as peak_bytes, max(day) as last_day
  from storage where day >= $from and day <= $to group by all
)
select hub, "user", first_bytes, last_bytes, last_bytes - first_bytes as growth_bytes, peak_bytes, last_day
from homes order by hub, last_bytes desc, "user"
