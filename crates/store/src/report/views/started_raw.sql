-- Days on which a server of somebody ran, from the sessions themselves.
select hub, day, "user", count(*) as sessions,
       sum(seconds_on(hub, day, started, until)) / 3600.0 as hours
from (
    select s.hub, s."user", s.started, coalesce(s.ended, $now) as until,
           unnest(days_of(s.hub, s.started, coalesce(s.ended, $now))) as day
    from all_sessions s
    where s.started < $ends and (s.ended is null or s.ended >= $raw_starts) /*people s*/
)
where day >= $raw
group by hub, day, "user"
