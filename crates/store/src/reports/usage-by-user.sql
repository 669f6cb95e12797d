-- title: Usage by user
-- section: Resources
-- question: Who used how much processor time, memory, GPU and network?
-- definition: What all servers of a person used in the hours of the period, added up: processor time in hours of one
--   core, memory in hours of one gibibyte (2^30 bytes), GPUs that were requested and GPUs that were at work in hours of
--   one GPU, traffic in bytes. An hour belongs to the day on which it begins in the hub's time zone. Two servers at once
--   add up. `days` are days with at least one measured hour. A figure adds up the hours in which it is known and is
--   empty if it is known in none. People of whom no hour was measured are not listed.
-- scope: group, user
-- needs: usage
-- readers: owner, user
-- column: hub text The hub.
-- column: user name The person.
-- column: days count Days on which anything was measured of the person's servers.
-- column: cpu_core_hours core-hours Processor time used.
-- column: memory_gib_hours gib-hours Memory used, as it was over time.
-- column: gpu_hours gpu-hours GPUs requested, whether they were at work or not.
-- column: gpu_used_hours gpu-hours GPUs at work: half an hour of a GPU that is fully busy is 0.5, as is an hour of one that is half busy.
-- column: network_rx_bytes bytes Received.
-- column: network_tx_bytes bytes Sent.
-- column: memory_peak_bytes bytes Largest memory of one of the person's servers at a moment.
-- caveat: Where only some hours of a figure are known, it is too small.
-- chart: rows x=user y=cpu_core_hours top=20
select hub, user,
    count(distinct day) as days,
    sum(cpu_core_seconds) / 3600 as cpu_core_hours,
    sum(memory_byte_seconds) / 3600 / power(2.0, 30) as memory_gib_hours,
    sum(gpu_requested_seconds) / 3600 as gpu_hours,
    sum(gpu_used_seconds) / 3600 as gpu_used_hours,
    sum(network_rx_bytes) as network_rx_bytes,
    sum(network_tx_bytes) as network_tx_bytes,
    max(memory_peak_bytes) as memory_peak_bytes
from period_usage
group by hub, user
order by hub, cpu_core_hours desc nulls last, user
