select d.hub, d.day, d.day >= $from as in_period, d."at", d.not_before, d.kind, d."user",
       d.server, d.detail, d.source
from (
    select s.hub, day_of(s.hub, s."at") as day, s."at", s.not_before, s.kind, s."user", s.server,
           s.detail, s.source
    from events s
    where s."at" >= $starts and s."at" < $ends /*people s*/
) d
where d.day >= $first and d.day <= $to /*members d*/
