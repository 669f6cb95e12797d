with active as (
  select hub, "user", max(day) as last_active from person_days where active_seconds > 0 group by all
)
select hub, "user", last_started, last_seen, $to - day_of(greatest(last_started, last_seen - interval 1 microsecond)) as days_since, last_active, is_running
from period_people left join active using (hub, "user") where removed is null order by hub, days_since desc nulls first, "user"
