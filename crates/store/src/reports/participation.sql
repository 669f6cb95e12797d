-- title: Participation of groups
-- section: Activity
-- question: How many members of each group ever came, and how often?
-- definition: Members are the people who were in the group on at least one day of the period, at some moment of it.
--   Participants are those of them of whom a server ran on a day on which they were members. `days_per_participant` and
--   `hours_per_participant` are their days with a server and their server hours on days of their membership, on the
--   mean over the participants; members who never came are not in it. Whoever is in several groups counts in each,
--   wholly, whatever rule the site chose for hours: nothing here adds up over groups. Two servers at once count both in
--   hours.
-- scope: group, user
-- needs: sessions, members
-- readers: owner, user, share
-- people: participants, members split by group
-- column: hub text The hub.
-- column: group name The group.
-- column: members count Members in the period; empty if no day's members are known.
-- column: participants count Members who came.
-- column: share share `participants` divided by `members`.
-- column: days_per_participant number Days on which a participant came, on the mean.
-- column: hours_per_participant hours Server hours of a participant, on the mean.
-- column: last_day day Last day on which one of them came.
-- chart: rows x=group y=share
with hubs as (
    select hub, bool_or(members_known) as members_known
    from period_days
    group by hub
),
groups as (
    select hub, group, count(distinct user) as members
    from period_members
    where is_real
    group by hub, group
),
participants as (
    select hub, group, user, count(*) as days, sum(hours) as hours, max(day) as last_day
    from period_days join period_group_days using (hub, day)
    where known and sessions > 0
    group by hub, group, user
),
came as (
    select hub, group, count(*) as participants, avg(days) as days, avg(hours) as hours, max(last_day) as last_day
    from participants
    group by hub, group
)
select groups.hub, groups.group,
    case when members_known then members end as members,
    case when members_known then coalesce(participants, 0) end as participants,
    case when members_known then coalesce(1.0 * participants / members, 0.0) end as share,
    days as days_per_participant,
    hours as hours_per_participant,
    last_day
from groups
    join hubs using (hub)
    left join came using (hub, group)
order by groups.hub, groups.group
