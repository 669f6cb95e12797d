-- A server that nobody has seen for a quarter of an hour ends, for reports, when it was last seen: what
-- became of it will be known when the hub is looked at again.
select hub, "user", server, started, ended, coalesce(ended, open_until) as until,
       ended is null and open_until = $now as is_running,
       case when ended is null and open_until < $now then 'unobserved' else end_reason end
           as end_reason,
       active_seconds, options, image
from (
    select hub, "user", server, started, ended, end_reason, active_seconds, options, image,
           case when last_seen < $now - interval '15 minutes' then last_seen else $now end
               as open_until
    from all_sessions
)
