select d.hub, d.day, d.day >= $from as in_period, d.hour, d."user", d.server, d.cpu_core_seconds,
       d.memory_byte_seconds, d.cpu_requested_core_seconds, d.memory_requested_byte_seconds,
       d.gpu_requested_seconds, d.gpu_used_seconds, d.network_rx_bytes, d.network_tx_bytes,
       d.memory_peak_bytes, d.samples
from (
    select s.hub, day_of(s.hub, s.hour) as day, s.hour, s."user", s.server, s.cpu_core_seconds,
           s.memory_byte_seconds, s.cpu_requested_core_seconds, s.memory_requested_byte_seconds,
           s.gpu_requested_seconds, s.gpu_used_seconds, s.network_rx_bytes, s.network_tx_bytes,
           s.memory_peak_bytes, s.samples
    from usage s
    where s.hour >= $starts and s.hour < $ends /*people s*/
) d
where d.day >= $first and d.day <= $to /*members d*/
