-- Sessions that ran at some moment; one that ended at midnight sharp does not count on the day that
-- begins. One of which the beginning is not asked about has begun on no day.
select d.hub, d."user", d.server, d.started,
       case when not d.is_running then d.until end as ended, d.until, d.day,
       coalesce(d.day >= $from, false) as starts_in_period, d.last_day >= $from as in_period,
       seconds_between(d.started, d.until) as seconds, d.is_running,
       d.end_reason, d.active_seconds, d.options, d.image
from (
    select s.hub, s."user", s.server, s.started, s.until, s.is_running,
           day_of(s.hub, s.started) as first_day,
           last_day_of(s.hub, s.started, s.until) as last_day,
           case when s.has_begun then day_of(s.hub, s.started) end as day,
           s.end_reason, s.active_seconds, s.options, s.image
    from asked_sessions s
    where s.started < $ends and (s.ended is null or s.ended >= $starts) /*people s*/
) d
where d.first_day <= $to and d.last_day >= $first
