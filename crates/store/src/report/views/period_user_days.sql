-- Closed days from the roll-up. Of the others sessions, activity and usage come from three places.
select d.hub, d.day, d.day >= $from as in_period, d."user", d.sessions, d.hours, d.active_seconds,
       d.cpu_core_seconds, d.memory_byte_seconds, d.gpu_seconds
from (
    select s.hub, s.day, s."user", s.sessions, s.hours,
           cast(s.active_seconds as double) as active_seconds,
           s.cpu_core_seconds, s.memory_byte_seconds, s.gpu_seconds
    from user_days s
    where s.day >= $first and s.day < $raw and s.day <= $to /*people s*/
    union all
    select hub, day, "user", coalesce(sum(sessions), 0) as sessions,
           coalesce(sum(hours), 0.0) as hours, sum(active_seconds) as active_seconds,
           sum(cpu_core_seconds) as cpu_core_seconds,
           sum(memory_byte_seconds) as memory_byte_seconds, sum(gpu_seconds) as gpu_seconds
    from (
        select hub, day, "user", sessions, hours, cast(null as double) as active_seconds,
               cast(null as double) as cpu_core_seconds,
               cast(null as double) as memory_byte_seconds, cast(null as double) as gpu_seconds
        from started_raw
        union all
        select s.hub, s.day, s."user", null, null, s.seconds, null, null, null
        from activity s
        where s.day >= $raw and s.day <= $to /*people s*/
        union all
        select hub, day, "user", null, null, null, sum(cpu_core_seconds),
               sum(memory_byte_seconds), sum(gpu_requested_seconds)
        from (
            select s.hub, day_of(s.hub, s.hour) as day, s."user", s.cpu_core_seconds,
                   s.memory_byte_seconds, s.gpu_requested_seconds
            from usage s
            where s.hour >= $raw_starts and s.hour < $ends /*people s*/
        )
        where day >= $raw
        group by hub, day, "user"
    )
    group by hub, day, "user"
) d
where true /*members d*/
