-- title: Usage by group
-- section: Resources
-- question: How much processor time, memory, GPU and network did each group use?
-- definition: What servers of a group's members used on the days of their membership, added up: processor time in hours
--   of one core, memory in hours of one gibibyte (2^30 bytes), requested GPUs in hours of one GPU, traffic in bytes. An
--   hour belongs to the day on which it begins in the hub's time zone; somebody is a member on a day on which they were
--   in the group for a moment. Who is in several groups on a day counts in each with the share that the site's rule for
--   such people gives: the groups then add up to all people, unless the rule is `in-each`, by which everybody counts
--   wholly in each of their groups: by the rules `primary` and `bucket` all that they used counts in one group, and
--   nothing in the others. Who is in no group is in `none` (`none_` where a group is called `none`); a group that the
--   site does not show counts as if it were not there, so that who is in no other one is in `none`, too. `users` are
--   people with a measured hour, each counting wholly in each of their groups. A figure adds up the hours in which it is
--   known and is empty if it is known in none. Groups of whose members no hour was measured are not listed. Days of
--   which the hub's groups are not known are left out.
-- scope: group, user
-- needs: usage, members
-- readers: owner, user, share
-- people: users split by group
-- hidden-from-shares: gpu_hours
-- column: hub text The hub.
-- column: group name The group; `none` is people in no group that is shown.
-- column: users count Members of whom anything was measured.
-- column: cpu_core_hours core-hours Processor time used.
-- column: memory_gib_hours gib-hours Memory used, as it was over time.
-- column: gpu_hours gpu-hours GPUs requested, whether they were at work or not.
-- column: network_rx_bytes bytes Received.
-- column: network_tx_bytes bytes Sent.
-- caveat: Where only some hours of a figure are known, it is too small.
-- chart: rows x=group y=cpu_core_hours top=20
with used as (
    select hub, user, day,
        sum(cpu_core_seconds) as cpu_core_seconds,
        sum(memory_byte_seconds) as memory_byte_seconds,
        sum(gpu_requested_seconds) as gpu_requested_seconds,
        sum(network_rx_bytes) as network_rx_bytes,
        sum(network_tx_bytes) as network_tx_bytes
    from period_usage
    group by hub, user, day
),
-- Once for each of their groups. Who never was in one that the site shows has no span of membership at all.
attributed as (
    select used.*, coalesce(group, $none) as group, nullif(coalesce(share, 1), 0) as share
    from period_members right join (
            select used.*
            from period_days join used on used.hub = period_days.hub and used.day = period_days.day
            where members_known
        ) as used on used.hub = period_members.hub and used.user = period_members.user
            and used.day between first_day and last_day
    where coalesce(group, $none) = coalesce($group, group, $none)
),
figures as (
    select hub, group,
        count(distinct user) as users,
        sum(cpu_core_seconds * share) / 3600 as cpu_core_hours,
        sum(memory_byte_seconds * share) / 3600 / power(2.0, 30) as memory_gib_hours,
        sum(gpu_requested_seconds * share) / 3600 as gpu_hours,
        sum(network_rx_bytes * share) as network_rx_bytes,
        sum(network_tx_bytes * share) as network_tx_bytes,
        -- By some rules all that its members used counts elsewhere.
        case when count(share) = 0 then 0.0 end as nothing
    from attributed
    group by hub, group
)
select hub, group, users,
    coalesce(cpu_core_hours, nothing) as cpu_core_hours,
    coalesce(memory_gib_hours, nothing) as memory_gib_hours,
    coalesce(gpu_hours, nothing) as gpu_hours,
    coalesce(network_rx_bytes, nothing) as network_rx_bytes,
    coalesce(network_tx_bytes, nothing) as network_tx_bytes
from figures
order by hub, cpu_core_hours desc nulls last, group
