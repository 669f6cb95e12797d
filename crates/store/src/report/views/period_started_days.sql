-- Closed days from the roll-up, the others from the sessions themselves.
select d.hub, d.day, d.day >= $from as in_period, d."user", d.sessions, d.hours
from (
    select s.hub, s.day, s."user", s.sessions, s.hours
    from user_days s
    where s.sessions > 0 and s.day >= $first and s.day < $raw and s.day <= $to /*closed*/ /*people s*/
    union all
    select hub, day, "user", sessions, hours from started_raw
) d
where true /*members d*/
