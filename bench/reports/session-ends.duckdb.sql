with ends as (
  select hub, day_of(ended) as day, count(*) filter (where end_reason = 'stopped') as stopped,
    count(*) filter (where end_reason = 'crashed or evicted') as crashed, count(*) filter (where end_reason = 'hub restart') as hub_restart,
    count(*) filter (where end_reason = 'unobserved') as unobserved
  from period_sessions group by all
)
select hub, day, case when known then coalesce(stopped, 0) end as stopped, case when known then coalesce(crashed, 0) end as crashed,
  case when known then coalesce(hub_restart, 0) end as hub_restart, case when known then coalesce(unobserved, 0) end as unobserved,
  case when known then crashed / nullif(stopped + crashed + hub_restart, 0) end as crashed_share
from period_days left join ends using (hub, day) order by hub, day
