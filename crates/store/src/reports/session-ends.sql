-- title: How sessions end
-- section: Operation
-- question: Do servers end because somebody stopped them, or do they crash?
-- definition: The servers that ended on each day of the hub's calendar, by how. `stopped`: somebody or something asked the
--   hub to stop it: its user, an administrator, the culler of idle servers. `crashed`: it went away by itself or its
--   cluster took it away. `hub_restart`: it was gone after a restart of the hub. `unobserved`: nobody saw how; it counts
--   on the day on which it surely ran last. An end at midnight sharp belongs to the day that begins. `crashed_share` is
--   the share of the crashed in those of which the end is known, so without the unobserved.
-- scope: group, user
-- lead: 1 days
-- needs: sessions
-- readers: owner, user
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: stopped count Servers that were stopped.
-- column: crashed count Servers that crashed or were evicted.
-- column: hub_restart count Servers that ended with a restart of the hub.
-- column: unobserved count Servers of which nobody saw the end.
-- column: crashed_share share Crashed among those of which the end is known; empty if there is none.
-- caveat: A server that ends itself after a time without activity looks as if it had crashed.
-- chart: stacked x=day y=stopped,crashed,hub_restart,unobserved
with ends as (
    select hub, day_of(hub, ended) as day,
        count(*) filter (where end_reason = 'stopped') as stopped,
        count(*) filter (where end_reason = 'crashed or evicted') as crashed,
        count(*) filter (where end_reason = 'hub restart') as hub_restart,
        count(*) filter (where end_reason = 'unobserved') as unobserved
    from period_sessions
    group by hub, day_of(hub, ended)
)
select hub, day,
    case when known then coalesce(stopped, 0) end as stopped,
    case when known then coalesce(crashed, 0) end as crashed,
    case when known then coalesce(hub_restart, 0) end as hub_restart,
    case when known then coalesce(unobserved, 0) end as unobserved,
    case when known then crashed / nullif(cast(stopped + crashed + hub_restart as double), 0.0) end as crashed_share
from period_days left join ends using (hub, day)
where in_period
order by hub, day
