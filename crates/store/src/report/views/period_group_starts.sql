select s.hub, s.day, coalesce(g."group", $none) as "group", sum(coalesce(g.share, 1.0)) as sessions
from period_members g
right join (
    select hub, "user", day from period_sessions where day >= $first and day <= $to
) s on g.hub = s.hub and g."user" = s."user" and s.day >= g.first_day and s.day <= g.last_day
group by s.hub, s.day, coalesce(g."group", $none)
