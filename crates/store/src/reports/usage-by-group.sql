-- title: Usage by group
-- section: Resources
-- question: How much processor time, memory, GPU and network did each group use?
-- definition: What servers of a group's members used on the days of their membership, added up: processor time in hours
--   of one core, memory in hours of one gibibyte (2^30 bytes), requested GPUs in hours of one GPU, traffic in bytes. An
--   hour belongs to the day on which it begins in the hub's time zone; somebody is a member on a day on which they were
--   in the group for a moment. Who is in several groups on a day counts in each with the share that the site's rule for
--   such people gives: the groups then add up to all people, unless the rule is `in-each`, by which everybody counts
--   wholly in each of their groups. Who is in no group is in `none`. `users` are people with a measured hour, each
--   counting wholly in each of their groups. A figure adds up the hours in which it is known and is empty if it is known
--   in none. Groups of whose members no hour was measured are not
--   listed. Days of which the hub's groups are not known are left out.
-- scope: group, user
-- needs: usage, members
-- column: hub text The hub.
-- column: group name The group; `none` is people in no group.
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
-- Once for each of their groups. Who never was in one has no span of membership at all, and who is only in groups that
-- the site does not show has none on these days.
attributed as (
    select used.*, coalesce(group, 'none') as group, coalesce(share, 1) as share
    from used
        join period_days on used.hub = period_days.hub and used.day = period_days.day and members_known
        left join period_members on used.hub = period_members.hub and used.user = period_members.user
            and used.day between first_day and last_day
    where coalesce(group, 'none') = coalesce($group, group, 'none')
)
select hub, group,
    count(distinct user) as users,
    sum(cpu_core_seconds * share) / 3600 as cpu_core_hours,
    sum(memory_byte_seconds * share) / 3600 / power(2.0, 30) as memory_gib_hours,
    sum(gpu_requested_seconds * share) / 3600 as gpu_hours,
    sum(network_rx_bytes * share) as network_rx_bytes,
    sum(network_tx_bytes * share) as network_tx_bytes
from attributed
group by hub, group
order by hub, cpu_core_hours desc nulls last, group
