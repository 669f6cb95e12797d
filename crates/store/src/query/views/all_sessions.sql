select hub, "user", server, started, ended, last_seen, end_reason, active_seconds, options, image
from sessions
union all
select hub, "user", server, started, null, last_seen, null, active_seconds, options, image
from stored.running
