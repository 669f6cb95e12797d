with gpus as (
  select hub, "user", sum(gpu_requested_seconds) / 3600 as gpu_hours, sum(gpu_used_seconds) / 3600 as gpu_used_hours
  from period_usage where gpu_requested_seconds > 0 and gpu_used_seconds is not null group by all
)
select hub, "user", gpu_hours, gpu_used_hours, greatest(gpu_hours - gpu_used_hours, 0) as idle_gpu_hours, gpu_used_hours / gpu_hours as used_share
from gpus order by hub, idle_gpu_hours desc, "user"
