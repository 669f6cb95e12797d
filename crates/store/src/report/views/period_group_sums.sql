-- By some rules nothing counts in a group of what a member did, which is no unknown share.
select hub, day, "group",
       count(share) filter (where sessions > 0) as came, count(share) as counted,
       sum(hours * share) as hours, sum(active_seconds * share) as active_seconds,
       sum(cpu_core_seconds * share) as cpu_core_seconds,
       sum(memory_byte_seconds * share) as memory_byte_seconds, sum(gpu_seconds * share) as gpu_seconds
from (
    select hub, day, "group", nullif(share, 0) as share, sessions, hours, active_seconds, cpu_core_seconds,
           memory_byte_seconds, gpu_seconds
    from period_group_days
)
group by hub, day, "group"
