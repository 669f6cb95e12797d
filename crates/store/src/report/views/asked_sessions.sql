-- Of members of the group that is asked about, what ran on days of their membership: a session is cut where
-- these begin and end, and who came back may have several parts of one. What is known of the whole session
-- only is not known of a part. Without a group these are all sessions (`scope.rs`).
select hub, "user", server, started, ended, until, is_running and not goes_on as is_running, has_begun,
       case when not goes_on then end_reason end as end_reason,
       case when has_begun and not goes_on then active_seconds end as active_seconds, options, image
from (
    select s.hub, s."user", s.server, greatest(s.started, m.starts) as started, s.ended,
           least(s.until, m.ends) as until, s.is_running, s.started >= m.starts as has_begun,
           coalesce(s.until > m.ends, false) as goes_on, s.end_reason, s.active_seconds, s.options, s.image
    from ran_in_period s join asked_stays m on m.hub = s.hub and m."user" = s."user"
    where (m.ends is null or s.started < m.ends) and (s.until > m.starts or s.started >= m.starts)
)
