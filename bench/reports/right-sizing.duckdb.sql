with parts as (
  select *, cpu_requested_core_seconds > 0 and cpu_core_seconds is not null as has_cpu,
    memory_requested_byte_seconds > 0 and memory_byte_seconds is not null as has_memory
  from period_usage
), sums as (
  select hub, "user", server, sum(samples) filter (where has_cpu or has_memory) as samples, nullif(sum(samples) filter (where has_cpu), 0) as cpu_samples,
    nullif(sum(samples) filter (where has_memory), 0) as memory_samples, nullif(max(samples), 0) as samples_per_hour,
    sum(cpu_core_seconds) filter (where has_cpu) as cpu_used, sum(cpu_requested_core_seconds) filter (where has_cpu) as cpu_requested,
    sum(memory_byte_seconds) filter (where has_memory) as memory_used, sum(memory_requested_byte_seconds) filter (where has_memory) as memory_requested,
    max(memory_peak_bytes) filter (where has_memory) as memory_peak_bytes
  from parts group by all
), means as (
  select hub, "user", server, memory_peak_bytes, samples / samples_per_hour as hours,
    cpu_requested / (3600 * cpu_samples / samples_per_hour) as cpu_requested_cores, cpu_used / (3600 * cpu_samples / samples_per_hour) as cpu_used_cores,
    cpu_used / cpu_requested as cpu_used_share, memory_requested / (3600 * memory_samples / samples_per_hour) as memory_requested_bytes,
    memory_used / (3600 * memory_samples / samples_per_hour) as memory_used_bytes
  from sums where samples > 0
), shares as (
  select *, memory_peak_bytes / memory_requested_bytes as memory_peak_share from means
), changes as (
  select *, case when hours >= 8 then case when memory_peak_share >= 0.9 then 'more memory' when memory_peak_share < 0.5 then 'less memory' end end as of_memory,
    case when hours >= 8 then case when cpu_used_share >= 0.9 then 'more CPU' when cpu_used_share < 0.1 then 'less CPU' end end as of_cpu
  from shares
)
select hub, "user", server, hours, cpu_requested_cores, cpu_used_cores, cpu_used_share, memory_requested_bytes, memory_used_bytes, memory_peak_bytes,
  memory_peak_share, case when hours >= 8 then coalesce(nullif(concat_ws(', ', of_memory, of_cpu), ''), 'fits') end as advice,
  case when of_cpu is not null then 2 * cpu_used_cores end as cpu_advised_cores,
  case when of_memory is not null then 1.25 * memory_peak_bytes end as memory_advised_bytes
from changes order by hub, hours desc, "user", server
