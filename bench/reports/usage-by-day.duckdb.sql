with used as (
  select hub, day, true as is_measured, sum(cpu_core_seconds) / 3600 as cpu_core_hours, sum(memory_byte_seconds) / 3600 / power(2, 30) as memory_gib_hours,
    sum(gpu_requested_seconds) / 3600 as gpu_hours, sum(network_rx_bytes) as network_rx_bytes, sum(network_tx_bytes) as network_tx_bytes
  from period_usage group by all
), ran as (
  select distinct hub, day from session_days
), days as (
  select period_days.hub, period_days.day, used.* exclude (hub, day),
    is_measured is not null or known and ran.day is null and period_days.day >= (select min(day) from used) as usage_known,
    count(gpu_hours) over (partition by period_days.hub) > 0 as tells_gpus, count(network_rx_bytes) over (partition by period_days.hub) > 0 as tells_received,
    count(network_tx_bytes) over (partition by period_days.hub) > 0 as tells_sent
  from period_days left join used using (hub, day) left join ran using (hub, day)
)
select hub, day, case when is_measured then cpu_core_hours when usage_known then 0 end as cpu_core_hours,
  case when is_measured then memory_gib_hours when usage_known then 0 end as memory_gib_hours,
  case when is_measured then gpu_hours when usage_known and tells_gpus then 0 end as gpu_hours,
  case when is_measured then network_rx_bytes when usage_known and tells_received then 0 end as network_rx_bytes,
  case when is_measured then network_tx_bytes when usage_known and tells_sent then 0 end as network_tx_bytes
from days order by hub, day
