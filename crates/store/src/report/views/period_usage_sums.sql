-- Requests count only in hours in which the use is known, too.
select hub, "user", server,
       sum(samples) filter (where has_cpu or has_memory) as samples,
       sum(samples) filter (where has_cpu) as cpu_samples,
       sum(samples) filter (where has_memory) as memory_samples,
       max(samples) as most_samples,
       sum(cpu_core_seconds) filter (where has_cpu) as cpu_core_seconds,
       sum(cpu_requested_core_seconds) filter (where has_cpu) as cpu_requested_core_seconds,
       sum(memory_byte_seconds) filter (where has_memory) as memory_byte_seconds,
       sum(memory_requested_byte_seconds) filter (where has_memory) as memory_requested_byte_seconds,
       max(memory_peak_bytes) filter (where has_memory) as memory_peak_bytes,
       sum(gpu_used_seconds) filter (where has_gpu) as gpu_used_seconds,
       sum(gpu_requested_seconds) filter (where has_gpu) as gpu_requested_seconds
from (
    select *,
           cpu_requested_core_seconds > 0 and cpu_core_seconds is not null as has_cpu,
           memory_requested_byte_seconds > 0 and memory_byte_seconds is not null as has_memory,
           gpu_requested_seconds > 0 and gpu_used_seconds is not null as has_gpu
    from period_usage
)
group by hub, "user", server
