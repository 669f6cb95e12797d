-- title: Restarts of the hub
-- section: Operation
-- question: When was the hub restarted, and whose servers did not survive it?
-- definition: Each start of the hub's process in the period. It is seen by the process's own start time, in the hub's
--   metrics or where a server was gone after it, or told by the hooks in the hub. What the hooks told at most two minutes
--   after the start time of a process is the same start. `sessions_ended` are the servers that ended by `hub restart` from
--   ten minutes before the hub was last seen until ten minutes after the start, both included. One that ended at most
--   ten minutes after the start before counts there and not again.
-- scope: none
-- lead: 7 days
-- needs: sessions
-- readers: share
-- people: none
-- hidden-from-shares: sessions_ended
-- column: hub text The hub.
-- column: at time When the hub's process started.
-- column: not_before time When the process before was last seen, so that the hub was away from then at most; empty if
--   that is not known.
-- column: how text `seen` by the process's start time, `told` by the hooks, or `seen and told`.
-- column: sessions_ended count Servers that ended with it.
-- caveat: A hub whose metrics cannot be read and which has no hooks shows only restarts that ended servers.
with read as (
    select hub, started, max(at) as last_read
    from (
        -- A reading by the hour knows two processes, if the hub was restarted in it.
        select hub, at, case process when 'older' then coalesce(min, value) else coalesce(max, value) end as started
        from (values ('older'), ('newer')) as processes (process) cross join period_observations
        where name = 'process_start_time_seconds'
    )
    group by hub, started
),
signs as (
    select hub, to_timestamp_micros(cast(round(started * 1e6) as bigint)) as at, 1 as sign,
        lag(last_read) over (partition by hub order by started) as not_before
    from read
    union all
    select hub, to_timestamp_micros(restarted), 2, min(not_before)
    from (
        select hub, not_before, json_get_str(detail, 'hub_restarted') as restarted
        from period_events
        where kind = 'server-gone'
    )
    where restarted is not null
    group by hub, restarted
    union all
    select hub, at, 3, null
    from period_events
    where kind = 'hub-started' and source = 'hooks'
),
-- What a later kind of sign says at most two minutes after another is about the same process.
numbered as (
    select hub, at, sign, not_before,
        sum(is_new) over (partition by hub order by at, sign rows unbounded preceding) as process
    from (
        select *, case
                when sign > lag(sign) over so_far and seconds_between(lag(at) over so_far, at) <= 120 then 0
                else 1
            end as is_new
        from signs
        window so_far as (partition by hub order by at, sign)
    )
),
restarts as (
    select hub, at, not_before, how, lag(at) over (partition by hub order by at) as at_before
    from (
        -- A process dates its start up to a second early, since Linux dates its own in whole seconds.
        select hub, greatest(min(at), max(not_before)) as at, max(not_before) as not_before,
            case when min(sign) = 3 then 'told' when max(sign) = 3 then 'seen and told' else 'seen' end as how
        from numbered
        group by hub, process
    )
)
select r.hub, r.at, r.not_before, r.how, count(s.user) as sessions_ended
from restarts r
    left join period_sessions s on s.hub = r.hub and s.end_reason = 'hub restart'
        and s.ended >= coalesce(r.not_before, r.at) - interval '10 minutes'
        and s.ended <= r.at + interval '10 minutes'
        and (r.at_before is null or s.ended > r.at_before + interval '10 minutes')
where day_of(r.hub, r.at) >= $from
group by r.hub, r.at, r.not_before, r.how
order by r.hub, r.at
