-- title: Groups side by side
-- section: Activity
-- question: How much does each group use the hub?
-- definition: Members are the people who were in the group on at least one day of the period, at some moment of it;
--   `none` are the people who have an account, or of whom a server ran, and were in no group on at least one day of it
--   (`none_` where a group is called `none`). A group that the site does not show counts as if it were not there: who is in no other one is in
--   `none`. Participants are those of the members of whom a server ran on a day on which they were members. People
--   always count wholly in each of their groups. `sessions` are the servers that they started on such
--   days, `hours` the server hours (two servers at once count both), `active_hours` the hours with activity, and CPU,
--   memory and GPUs what they used on such days; GPU hours are hours of GPUs requested, whether they were at work or
--   not. What somebody did who was in several groups on a day is divided among them by the rule that the site chose for
--   such people, so that the groups add up to the whole; only with the rule `in-each` every group counts all of it, and
--   the groups add up to more. By the rule `primary` all of it counts in one of their groups, and nothing in the others,
--   whose members they are nevertheless; by the rule `bucket` all of it counts in a group made for people in several,
--   whose members they are beside. Days on which sessions or members are not known are left out.
-- scope: group, user
-- needs: sessions, members, usage
-- readers: owner, user, share
-- people: participants, members split by group
-- hidden-from-shares: gpu_hours
-- column: hub text The hub.
-- column: group name The group; `none` for people in no group that is shown.
-- column: members count Members in the period; empty if no day's members are known.
-- column: participants count Members who came.
-- column: participation share `participants` divided by `members`.
-- column: sessions number Servers that were started, by share.
-- column: hours hours Server hours, by share.
-- column: active_hours hours Hours with activity, by share; empty if none of them is known.
-- column: cpu_core_hours core-hours CPU used, by share; empty if none of it is known.
-- column: memory_gib_hours gib-hours Memory used, by share; empty if none of it is known.
-- column: gpu_hours gpu-hours GPUs requested, by share; empty if none of it is known.
-- caveat: What is not known of a day, activity or usage, is left out of its sum, which is then too small.
-- chart: rows x=group y=hours
with hubs as (
    select hub,
        bool_or(members_known) as members_known,
        bool_or(usage_known) as usage_known,
        min(day) filter (where members_known) as first_day,
        max(day) as last_day
    from period_days
    group by hub
),
-- Who never had a group has no span at all. Spans of `none` also cover days before and after an account was there, and
-- those before members were known. If one group is asked for, `none` is no answer.
spans as (
    select hubs.hub, coalesce(spans.user, people.user) as user, coalesce(spans.group, $none) as group, added, removed,
        greatest(spans.first_day, hubs.first_day) as first_day,
        coalesce(spans.last_day, hubs.last_day) as last_day
    from period_members as spans
        full join period_people as people on spans.hub = people.hub and spans.user = people.user
        join hubs on hubs.hub = coalesce(spans.hub, people.hub)
    where spans.group is not null or $group is null
),
members as (
    select hub, group, count(distinct user) as members
    from spans
    where first_day <= last_day
        and (group <> $none or coalesce(added <= last_day, true) and coalesce(removed >= first_day, true))
    group by hub, group
),
started as (
    select starts.hub, starts.group, sum(sessions) as sessions
    from period_days as days join period_group_starts as starts on starts.hub = days.hub and starts.day = days.day
    where members_known
    group by starts.hub, starts.group
),
did as (
    select sums.hub, sums.group,
        sum(came) > 0 as has_active,
        sum(counted) > 0 as has_users,
        sum(hours) as hours,
        sum(active_seconds) / 3600 as active_hours,
        sum(cpu_core_seconds) / 3600 as cpu_core_hours,
        sum(memory_byte_seconds) / 3600 / power(2, 30) as memory_gib_hours,
        sum(gpu_seconds) / 3600 as gpu_hours
    from period_days as days join period_group_sums as sums on sums.hub = days.hub and sums.day = days.day
    where members_known
    group by sums.hub, sums.group
),
figures as (
    select coalesce(members.hub, did.hub) as hub, coalesce(members.group, did.group) as group, members,
        not coalesce(has_active, false) as is_idle,
        not coalesce(has_users, false) as is_unused,
        participants.people as participants, sessions, hours, active_hours, cpu_core_hours, memory_gib_hours, gpu_hours
    from members
        full join did on members.hub = did.hub and members.group = did.group
        left join started on started.hub = did.hub and started.group = did.group
        left join period_participants as participants on participants.hub = did.hub and participants.group = did.group
)
-- Where nobody came of whom anything counts, nothing was done; what somebody did may be unknown.
select figures.hub, group,
    case when members_known then members end as members,
    case when members_known then coalesce(participants, 0) end as participants,
    case when members_known then 1.0 * coalesce(participants, 0) / members end as participation,
    case when members_known then coalesce(sessions, 0.0) end as sessions,
    case when members_known then coalesce(hours, 0.0) end as hours,
    case when members_known and is_idle then 0.0 else active_hours end as active_hours,
    case when usage_known and is_unused then 0.0 else cpu_core_hours end as cpu_core_hours,
    case when usage_known and is_unused then 0.0 else memory_gib_hours end as memory_gib_hours,
    case when usage_known and is_unused then 0.0 else gpu_hours end as gpu_hours
from figures join hubs on figures.hub = hubs.hub
order by figures.hub, group
