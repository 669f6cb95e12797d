-- Once for each group that the person counts to on that day.
select d.hub, d.day, d.in_period, d."user", coalesce(g."group", 'none') as "group",
       coalesce(g.share, 1.0) as share, d.sessions, d.hours, d.active_seconds,
       d.cpu_core_seconds, d.memory_byte_seconds, d.gpu_seconds
from period_user_days d
left join member_spans g
    on g.hub = d.hub and g."user" = d."user" and d.day >= g.first_day and d.day <= g.last_day
where true /*group coalesce(g."group", 'none')*/
