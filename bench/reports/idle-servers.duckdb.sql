select hub, "user", server, started, seconds / 3600 as hours, active_seconds / 3600 as active_hours,
  greatest(seconds - active_seconds, 0) / 3600 as idle_hours, greatest(seconds - active_seconds, 0) / nullif(seconds, 0) as idle_share
from period_sessions where active_seconds is not null and greatest(seconds - active_seconds, 0) >= 7200
order by hub, greatest(seconds - active_seconds, 0) desc, "user", server, started
