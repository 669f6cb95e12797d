-- title: Requested and used
-- section: Resources
-- question: Whose servers ask for more, or for less, than they use?
-- definition: For each server of a person, what it requested and what it used in the hours in which both are known; on
--   a machine without requests its limits stand in their place, and a request of 0 is none. `hours` is the time that
--   was measured: an hour with fewer measurements than the server's fullest hour of the period counts in proportion.
--   Cores and bytes are means over that time. `cpu_used_share` is the processor time used divided by that requested,
--   `memory_peak_share` the largest memory at a moment divided by the mean request. `advice` is empty below 8 hours.
--   Otherwise it is `more memory` if `memory_peak_share` is at least 0.9, `less memory` if it is below 0.5; and `more
--   CPU` if `cpu_used_share` is at least 0.9, `less CPU` if it is below 0.1; `fits` if none of these holds. What to
--   request instead stands beside it: of memory a quarter more than the largest use, of processor time twice the mean;
--   it is empty where the advice is not about it.
-- scope: group, user
-- needs: usage
-- readers: user
-- column: hub text The hub.
-- column: user name The person.
-- column: server name The server's name; that of the default server is an empty text. Nothing if the person's servers cannot be told apart, of which the largest memory is then that of one.
-- column: hours hours Time that was measured.
-- column: cpu_requested_cores cores Cores requested; empty if no request for processor time is known.
-- column: cpu_used_cores cores Cores used, on average.
-- column: cpu_used_share share Processor time used of that requested.
-- column: memory_requested_bytes bytes Memory requested; empty if no request for memory is known.
-- column: memory_used_bytes bytes Memory used, on average.
-- column: memory_peak_bytes bytes Largest memory at a moment.
-- column: memory_peak_share share Largest memory of that requested.
-- column: advice text What to change, by the rule above.
-- column: cpu_advised_cores cores Cores to request instead.
-- column: memory_advised_bytes bytes Memory to request instead.
-- caveat: Of a server that never ran through a whole hour, `hours` are too many, and requests and means too small.
-- caveat: If a request was changed within the period, it is better to ask about the time after that alone.
-- chart: rows x=user y=memory_peak_share series=server top=20
with sums as (
    select hub, user, server,
        sum(samples) as samples,
        nullif(sum(cpu_samples), 0) as cpu_samples,
        nullif(sum(memory_samples), 0) as memory_samples,
        -- Nobody tells how far measurements are apart; as many as this are an hour.
        nullif(max(most_samples), 0) as samples_per_hour,
        sum(cpu_core_seconds) as cpu_used,
        sum(cpu_requested_core_seconds) as cpu_requested,
        sum(memory_byte_seconds) as memory_used,
        sum(memory_requested_byte_seconds) as memory_requested,
        max(memory_peak_bytes) as memory_peak_bytes
    from period_usage_sums
    group by hub, user, server
),
means as (
    select hub, user, server, memory_peak_bytes,
        samples / cast(samples_per_hour as double) as hours,
        cpu_requested / (3600.0 * cpu_samples / samples_per_hour) as cpu_requested_cores,
        cpu_used / (3600.0 * cpu_samples / samples_per_hour) as cpu_used_cores,
        cpu_used / cpu_requested as cpu_used_share,
        memory_requested / (3600.0 * memory_samples / samples_per_hour) as memory_requested_bytes,
        memory_used / (3600.0 * memory_samples / samples_per_hour) as memory_used_bytes
    from sums
    where samples > 0
),
shares as (
    select *, memory_peak_bytes / memory_requested_bytes as memory_peak_share
    from means
),
changes as (
    select *,
        case when hours >= 8 then
            case when memory_peak_share >= 0.9 then 'more memory' when memory_peak_share < 0.5 then 'less memory' end
        end as of_memory,
        case when hours >= 8 then
            case when cpu_used_share >= 0.9 then 'more CPU' when cpu_used_share < 0.1 then 'less CPU' end
        end as of_cpu
    from shares
)
select hub, user, server, hours,
    cpu_requested_cores, cpu_used_cores, cpu_used_share,
    memory_requested_bytes, memory_used_bytes, memory_peak_bytes, memory_peak_share,
    case when hours >= 8 then coalesce(nullif(concat_ws(', ', of_memory, of_cpu), ''), 'fits') end as advice,
    case when of_cpu is not null then 2 * cpu_used_cores end as cpu_advised_cores,
    case when of_memory is not null then 1.25 * memory_peak_bytes end as memory_advised_bytes
from changes
order by hub, hours desc, user, server
