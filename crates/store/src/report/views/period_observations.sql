select d.hub, d.day, d.day >= $from as in_period, d."at", d.name, d.labels, d.value, d.min, d.max,
       d.last, d.n, case when d.n is null then 60.0 else 3600.0 end as resolution
from (
    select s.hub, day_of(s.hub, s."at") as day, s."at", s.name, s.labels, s.value, s.min, s.max,
           s.last, s.n
    from observations s
    where s."at" >= $starts and s."at" < $ends /*hub s*/
) d
where d.day >= $first and d.day <= $to
