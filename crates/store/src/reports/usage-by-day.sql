-- title: Usage by day
-- section: Resources
-- question: How much processor time, memory, GPU and network was used, day by day?
-- definition: What all servers used in the hours of a day, added up: processor time in hours of one core, memory in hours
--   of one gibibyte (2^30 bytes), requested GPUs in hours of one GPU, traffic in bytes. An hour belongs to the day on
--   which it begins in the hub's time zone, and counts once it is over. A day on which usage is not known is empty; one
--   on which it is known and no server ran is 0. A figure that is not known in any measured hour of a day is empty on
--   that day; GPUs and traffic, which not every hub can tell, also on days without a measured hour if they are not known
--   in any hour of the period.
-- scope: group, user
-- needs: usage
-- readers: owner, user
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: cpu_core_hours core-hours Processor time used.
-- column: memory_gib_hours gib-hours Memory used, as it was over time.
-- column: gpu_hours gpu-hours GPUs requested, whether they were at work or not.
-- column: network_rx_bytes bytes Received.
-- column: network_tx_bytes bytes Sent.
-- caveat: Where only some hours of a figure are known, it is too small.
-- chart: line x=day y=cpu_core_hours,memory_gib_hours,gpu_hours
with used as (
    select hub, day, true as is_measured,
        sum(cpu_core_seconds) / 3600 as cpu_core_hours,
        sum(memory_byte_seconds) / 3600 / power(2.0, 30) as memory_gib_hours,
        sum(gpu_requested_seconds) / 3600 as gpu_hours,
        sum(network_rx_bytes) as network_rx_bytes,
        sum(network_tx_bytes) as network_tx_bytes
    from period_usage
    group by hub, day
),
days as (
    select *,
        -- Not every hub can tell these: without any figure, days on which nothing ran say nothing either.
        count(gpu_hours) over (partition by hub) > 0 as tells_gpus,
        count(network_rx_bytes) over (partition by hub) > 0 as tells_received,
        count(network_tx_bytes) over (partition by hub) > 0 as tells_sent
    from period_days left join used using (hub, day)
)
select hub, day,
    case when is_measured then cpu_core_hours when usage_known then 0 end as cpu_core_hours,
    case when is_measured then memory_gib_hours when usage_known then 0 end as memory_gib_hours,
    case when is_measured then gpu_hours when usage_known and tells_gpus then 0 end as gpu_hours,
    case when is_measured then network_rx_bytes when usage_known and tells_received then 0 end as network_rx_bytes,
    case when is_measured then network_tx_bytes when usage_known and tells_sent then 0 end as network_tx_bytes
from days
order by hub, day
