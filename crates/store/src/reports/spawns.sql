-- title: Starts of servers
-- section: Operation
-- question: Do servers start, and how long do people wait for them?
-- definition: `succeeded` are the attempts to start a server that ended with one that answers, `failed` all that ended
--   otherwise: an error, a time that ran out, or a hub that was full and refused. `success_rate` is the share of those
--   that succeeded. Times are those of attempts that succeeded, as the hub measures them, from the beginning of the start
--   until the server answers: half of them took at most `median_seconds`, nine of ten at most `p90_seconds`, 99 of 100 at
--   most `p99_seconds`, interpolated between neighbours. An attempt belongs to the day on which it ended. What the hooks
--   in the hub tell counts from the first day on which they told anything to the last. On other days, if no group or user is
--   asked for, the hub's own counters do: what they grew by from one hour with readings to the next, from 0 where they fell
--   or were not there. Growth over midnight belongs to the later day, and to no day if the hour before, of another day,
--   began more than two hours earlier. Times are then estimated from how many attempts took at most 0.5, 1, 2.5 … 600
--   seconds, as if those in between were evenly spread.
-- scope: group, user
-- lead: 1 days
-- needs: hooks
-- readers: owner, user
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: succeeded count Starts that succeeded; empty if not known.
-- column: failed count Starts that failed.
-- column: success_rate share Share that succeeded; empty without any attempt.
-- column: median_seconds seconds Half of the starts that succeeded took at most so long.
-- column: p90_seconds seconds Nine of ten took at most so long.
-- column: p99_seconds seconds 99 of 100 took at most so long.
-- column: source text `hooks` if each start was told, `counters` if the hub only counted and times are estimates.
-- caveat: Counters of the hub include accounts that are left out.
-- caveat: On the days on which the hooks came into the hub and left it, the starts without them are missing.
-- chart: line x=day y=median_seconds,p90_seconds,p99_seconds
with told as (
    select hub, day,
        count(*) filter (where kind = 'spawn-succeeded') as succeeded,
        count(*) filter (where kind = 'spawn-failed') as failed,
        median(seconds) as median_seconds,
        percentile_cont(seconds, 0.9) as p90_seconds,
        percentile_cont(seconds, 0.99) as p99_seconds
    from (
        select hub, day, kind, case kind when 'spawn-succeeded' then json_get_float(detail, 'seconds') end as seconds
        from period_days join period_events using (hub, day)
        where hooks_known and source = 'hooks'
    )
    group by hub, day
),
-- Elsewhere the hub's counters, by the hour, whether they are kept by the minute or by the hour.
hours as (
    select hub, day, date_trunc('hour', at) as hour, name, labels,
        min(coalesce(min, value)) as lowest,
        max(coalesce(max, value)) as highest,
        last_value(coalesce(last, value) order by at, coalesce(last, value)) as last
    from period_observations o
    where exists (select 1 from period_days d where d.hub = o.hub and d.day = o.day and not hooks_known)
        and $group is null and $user is null
        and (
            name = 'jupyterhub_server_spawn_duration_seconds_count'
            or name = 'jupyterhub_server_spawn_duration_seconds_bucket' and labels like '%"status":"success"%'
        )
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
of_label as (
    select hub, day, n,
        json_get_str(labels, 'status') as status,
        json_get_str(labels, 'reason') as reason,
        cast(json_get_str(labels, 'le') as double) as le
    from grown
),
buckets as (
    select hub, day, le, n,
        coalesce(lag(le) over up_to, 0.0) as le_before,
        coalesce(lag(n) over up_to, 0.0) as n_before,
        max(n) over (partition by hub, day) as n_all
    from of_label
    where le is not null
    window up_to as (partition by hub, day order by le)
),
-- The bucket in which so many are reached, and where in it. Beyond the last bound nobody knows.
times as (
    select hub, day,
        sum(seconds) filter (where part = 0.5) as median_seconds,
        sum(seconds) filter (where part = 0.9) as p90_seconds,
        sum(seconds) filter (where part = 0.99) as p99_seconds
    from (
        select hub, day, part,
            case
                when le = cast('Infinity' as double) then le_before
                else le_before + (le - le_before) * (part * n_all - n_before) / (n - n_before)
            end as seconds
        from buckets cross join (values (0.5), (0.9), (0.99)) as parts (part)
        where n_before < part * n_all and part * n_all <= n
    )
    group by hub, day
),
-- The hub counts an attempt whose server exited twice: with this reason, and without one.
counted as (
    select hub, day,
        sum(case when status = 'success' then n else 0.0 end) as succeeded,
        sum(case when status = 'success' or reason = 'exited' then 0.0 else n end) as failed
    from of_label
    where le is null
    group by hub, day
),
days as (
    select d.hub, d.day,
        coalesce(counted.succeeded, told.succeeded, case when hooks_known then 0 end) as succeeded,
        coalesce(counted.failed, told.failed, case when hooks_known then 0 end) as failed,
        coalesce(times.median_seconds, told.median_seconds) as median_seconds,
        coalesce(times.p90_seconds, told.p90_seconds) as p90_seconds,
        coalesce(times.p99_seconds, told.p99_seconds) as p99_seconds,
        case when counted.succeeded is not null then 'counters' when hooks_known then 'hooks' end as source
    from period_days d
        left join told on told.hub = d.hub and told.day = d.day
        left join counted on counted.hub = d.hub and counted.day = d.day
        left join times on times.hub = d.hub and times.day = d.day
    where in_period
)
select hub, day,
    cast(succeeded as bigint) as succeeded,
    cast(failed as bigint) as failed,
    succeeded / nullif(succeeded + failed, 0.0) as success_rate,
    median_seconds, p90_seconds, p99_seconds, source
from days
order by hub, day
