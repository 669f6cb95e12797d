-- A day that lost its sessions to later news stays only if something was used on it.
select * from stored.user_days
where sessions > 0
   or coalesce(cpu_core_seconds, 0) > 0
   or coalesce(memory_byte_seconds, 0) > 0
   or coalesce(gpu_seconds, 0) > 0
