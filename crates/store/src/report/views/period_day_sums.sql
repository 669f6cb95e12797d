select hub, day,
       count(*) filter (where sessions > 0) as people,
       count(*) filter (where sessions > 0 and active_seconds > 0) as active,
       count(active_seconds) filter (where sessions > 0) as told,
       sum(hours) as hours, sum(active_seconds) as active_seconds, sum(cpu_core_seconds) as cpu_core_seconds,
       sum(memory_byte_seconds) as memory_byte_seconds, sum(gpu_seconds) as gpu_seconds
from period_user_days
group by hub, day
