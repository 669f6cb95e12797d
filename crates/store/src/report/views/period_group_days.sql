-- Once for each group that the person is in on that day. By the site's rule nothing may count in one of
-- them, with a share of 0, or all in a pseudo group.
select d.hub, d.day, d.in_period, d."user", coalesce(g."group", $none) as "group",
       coalesce(g.is_real, false) as is_real, coalesce(g.share, 1.0) as share, d.sessions, d.hours, d.active_seconds,
       d.cpu_core_seconds, d.memory_byte_seconds, d.gpu_seconds
from member_spans g
right join period_user_days d
    on g.hub = d.hub and g."user" = d."user" and d.day >= g.first_day and d.day <= g.last_day
where true /*group coalesce(g."group", $none)*/
