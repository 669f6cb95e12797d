-- Closed days from the roll-up. Of the others sessions, activity and usage come from three places;
-- the activity of a session over midnight is told by events.
select d.hub, d.day, d.day >= $from as in_period, d."user", d.sessions, d.hours, d.active_seconds,
       d.cpu_core_seconds, d.memory_byte_seconds, d.gpu_seconds
from (
    select s.hub, s.day, s."user", s.sessions, s.hours,
           cast(s.active_seconds as double) as active_seconds,
           s.cpu_core_seconds, s.memory_byte_seconds, s.gpu_seconds
    from user_days s
    where s.day >= $first and s.day < $raw and s.day <= $to /*closed*/ /*people s*/
    union all
    select hub, day, "user", count(session) as sessions,
           coalesce(sum(session), 0.0) / 3600.0 as hours,
           -- Unknown if it is of any of the sessions.
           case when count(session) > 0
                 and count(session) = count(active_seconds) filter (where session is not null)
               then sum(active_seconds) end as active_seconds,
           sum(cpu_core_seconds) as cpu_core_seconds,
           sum(memory_byte_seconds) as memory_byte_seconds, sum(gpu_seconds) as gpu_seconds
    from (
        select hub, day, "user", seconds_on(hub, day, started, until) as session,
               case when is_of_one_day or active_seconds is null
                   then cast(active_seconds as double) else 0.0 end as active_seconds,
               cast(null as double) as cpu_core_seconds,
               cast(null as double) as memory_byte_seconds, cast(null as double) as gpu_seconds
        from sessions_raw
        union all
        select s.hub, s.day, s."user", null, s.seconds, null, null, null
        from activity s
        where s.day >= $first and s.day <= $to /*people s*/ /*activity*/
        union all
        select hub, day, "user", null, null, sum(cpu_core_seconds),
               sum(memory_byte_seconds), sum(gpu_requested_seconds)
        from (
            select s.hub, day_of(s.hub, s.hour) as day, s."user", s.cpu_core_seconds,
                   s.memory_byte_seconds, s.gpu_requested_seconds
            from usage s
            where s.hour >= $raw_starts and s.hour < $ends /*people s*/ /*usage*/
        )
        where day >= $raw and day <= $to
        group by hub, day, "user"
    )
    group by hub, day, "user"
) d
where true /*members d*/
