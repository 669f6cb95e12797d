select hub, "user", count(distinct day) as days, sum(cpu_core_seconds) / 3600 as cpu_core_hours,
  sum(memory_byte_seconds) / 3600 / power(2, 30) as memory_gib_hours, sum(gpu_requested_seconds) / 3600 as gpu_hours,
  sum(gpu_used_seconds) / 3600 as gpu_used_hours, sum(network_rx_bytes) as network_rx_bytes, sum(network_tx_bytes) as network_tx_bytes,
  max(memory_peak_bytes) as memory_peak_bytes
from period_usage group by hub, "user" order by hub, cpu_core_hours desc nulls last, "user"
