-- Each session once for each of its days that are not in the roll-up.
select hub, "user", day, started, until, active_seconds, is_of_one_day
from (
    select s.hub, s."user", s.started, s.until, s.active_seconds,
           day_of(s.hub, s.started)
               = last_day_of(s.hub, s.started, s.until)
               as is_of_one_day,
           unnest(days_of(s.hub, s.started, s.until)) as day
    from (
        select hub, "user", started, until, active_seconds
        from ran_in_period
        where started < $ends and (ended is null or ended >= $raw_starts)
    ) s
    where true /*people s*/
)
where day >= $raw and day <= $to
