with used as (
  select hub, "user", day, sum(cpu_core_seconds) as cpu_core_seconds, sum(memory_byte_seconds) as memory_byte_seconds,
    sum(gpu_requested_seconds) as gpu_requested_seconds, sum(network_rx_bytes) as network_rx_bytes, sum(network_tx_bytes) as network_tx_bytes
  from period_usage group by all
), attributed as (
  select used.*, coalesce("group", 'none') as "group"
  from used join period_days days using (hub, day) join members_since on known and day >= since
    left join member_spans spans on spans."user" = used."user" and day between spans.first_day and spans.last_day
)
select hub, "group", count(distinct "user") as users, sum(cpu_core_seconds) / 3600 as cpu_core_hours,
  sum(memory_byte_seconds) / 3600 / power(2, 30) as memory_gib_hours, sum(gpu_requested_seconds) / 3600 as gpu_hours,
  sum(network_rx_bytes) as network_rx_bytes, sum(network_tx_bytes) as network_tx_bytes
from attributed group by all order by hub, cpu_core_hours desc nulls last, "group"
