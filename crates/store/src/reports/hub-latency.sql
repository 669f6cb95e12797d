-- title: Latency of the hub
-- section: Operation
-- question: Is the hub fast, or does it stall?
-- definition: The hub's own counters: what they grew by on the day, from one hour with readings to the next, from 0 where
--   they fell or were not there. Growth over midnight belongs to the later day, and to no day if the hour before, of
--   another day, began more than two hours earlier. `requests` are all HTTP requests that the hub itself answered with a
--   status from 200 to 599, not those to people's servers; `mean_seconds` is how long one took on average, and
--   `server_errors` are those with a status from 500 on. The hub's one thread looks at the clock about 20 times a second:
--   a stall is a time between two looks of more than 0.25 seconds, in which nobody was served. `stall_share` is the share
--   of these times that were stalls.
-- scope: none
-- lead: 1 days
-- needs: sessions
-- readers: share
-- people: none
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: requests count Requests that the hub answered; empty if its counters were not read.
-- column: mean_seconds seconds Mean time to the answer.
-- column: server_errors count Requests that were answered with an error of the hub.
-- column: stalls count Times between two looks at the clock of more than 0.25 seconds; empty for hubs before 5.0.
-- column: stall_share share Their share of all times between two looks.
-- caveat: Requests of this service, of other services and of health checks are among them.
-- chart: line x=day y=mean_seconds
with -- The hub's counters by the hour, whether they are kept by the minute or by the hour.
hours as (
    select hub, day, date_trunc('hour', at) as hour, name, labels,
        min(coalesce(min, value)) as lowest,
        max(coalesce(max, value)) as highest,
        last_value(coalesce(last, value) order by at, coalesce(last, value)) as last
    from period_observations
    where name in (
            'jupyterhub_request_duration_seconds_count', 'jupyterhub_request_duration_seconds_sum',
            'jupyterhub_event_loop_interval_seconds_count'
        )
        or name = 'jupyterhub_event_loop_interval_seconds_bucket' and json_get_str(labels, 'le') = '0.25'
    group by hub, day, date_trunc('hour', at), name, labels
),
numbered as (
    select *, dense_rank() over (partition by hub order by hour, day) as reading from hours
),
-- A counter that was not there counts from 0: most appear when they count for the first time.
compared as (
    select hub, day, hour, name, labels, lowest, highest, last,
        case when lag(reading) over own = reading - 1 then lag(last) over own else 0.0 end as before,
        max(day) over reading_before as day_before,
        max(hour) over reading_before as hour_before
    from numbered
    window own as (partition by hub, name, labels order by reading),
        reading_before as (partition by hub order by reading range between 1 preceding and 1 preceding)
),
-- One that fell began anew, with a new process of the hub.
grown as (
    select hub, day, name, labels,
        sum(case
            when lowest >= before and last >= highest then last - before
            when last >= highest then last
            else last + greatest(highest - before, 0.0)
        end) as n
    from compared
    where day_before = day or seconds_between(hour_before, hour) <= 7200
    group by hub, day, name, labels
),
counted as (
    select hub, day,
        sum(case when name = 'jupyterhub_request_duration_seconds_count' then n end) as requests,
        sum(case when name = 'jupyterhub_request_duration_seconds_sum' then n end) as request_seconds,
        sum(case
            when name = 'jupyterhub_request_duration_seconds_count' and json_get_str(labels, 'code') = '5xx' then n
            else 0.0
        end) as server_errors,
        sum(case when name = 'jupyterhub_event_loop_interval_seconds_count' then n end) as intervals,
        sum(case when name = 'jupyterhub_event_loop_interval_seconds_bucket' then n end) as short_intervals
    from grown
    group by hub, day
)
select hub, day,
    cast(requests as bigint) as requests,
    request_seconds / nullif(requests, 0.0) as mean_seconds,
    case when requests is not null then cast(server_errors as bigint) end as server_errors,
    cast(intervals - short_intervals as bigint) as stalls,
    (intervals - short_intervals) / nullif(intervals, 0.0) as stall_share
from period_days left join counted using (hub, day)
where in_period
order by hub, day
