select * from (
  select hub, "user", server, started, ended, seconds / 3600 as hours, active_seconds / 3600 as active_hours, end_reason, image, options
  from period_sessions order by started desc, hub, "user", server limit 200000
)
order by hub, started, "user", server
