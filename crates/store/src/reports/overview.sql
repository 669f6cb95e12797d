-- title: Overview
-- section: Overview
-- question: Is the hub worth it?
-- definition: Ten numbers of the period, each beside the same number of the time before, which is as long and ends the
--   day before the period begins. `users` are people of whom a server ran; `new-users` those of them whose account was
--   added in the same period; `sessions` servers that were started; `hours` server hours, two servers at once counting
--   both; `active-hours` hours in which the hub recorded activity; `peak` the most servers that ran at one moment; `cpu`
--   hours of a processor core that servers used; `gpu` hours of a GPU that they held; `groups` groups of which a member
--   had a server on a day of the membership; `homes` the sizes of all homes on the last day on which they were
--   measured. Sums are over the days that are known. `change` is the number without the one before, as a share of the
--   one before; it is empty where a day of either period is not known, and where the number before is 0.
-- scope: group
-- lead: period
-- needs: sessions, members, accounts, usage, storage
-- column: hub text The hub.
-- column: number text Its short name.
-- column: title text Its name.
-- column: value number The number of the period; empty if nothing is known.
-- column: before number The number of the time before; empty if the history does not reach back so far.
-- column: change share Growth since the time before.
-- column: unit text What is counted.
-- column: report text The report that tells more.
with periods as (
    select hub, in_period, min(day) as first, max(day) as last, bool_or(known) as is_known,
        bool_and(known) as is_whole, bool_and(in_history) as is_in_history,
        bool_and(accounts_known) as has_accounts, bool_or(members_known) as has_members
    from period_days
    group by hub, in_period
),
people as (
    select u.hub, d.in_period, u.user, sum(u.sessions) as sessions, sum(u.hours) as hours,
        sum(u.active_seconds) as active_seconds, sum(u.cpu_core_seconds) as cpu_core_seconds,
        sum(u.gpu_seconds) as gpu_seconds
    from period_user_days u join period_days d on d.hub = u.hub and d.day = u.day
    where d.known
    group by u.hub, d.in_period, u.user
),
used as (
    select hub, in_period, count(*) filter (where sessions > 0) as users, sum(hours) as hours,
        sum(active_seconds) / 3600.0 as active_hours, sum(cpu_core_seconds) / 3600.0 as cpu,
        sum(gpu_seconds) / 3600.0 as gpu
    from people
    group by hub, in_period
),
newcomers as (
    select p.hub, p.in_period, count(*) as people
    from people p
        join period_people a on a.hub = p.hub and a.user = p.user
        join periods t on t.hub = p.hub and t.in_period = p.in_period
    where p.sessions > 0 and a.added >= t.first and a.added <= t.last
    group by p.hub, p.in_period
),
begun as (
    select s.hub, d.in_period, count(*) as sessions
    from period_sessions s join period_days d on d.hub = s.hub and d.day = s.day
    where d.known
    group by s.hub, d.in_period
),
steps as (
    select hub, started as moment, 1 as step from period_sessions where started < until
    union all
    select hub, until, -1 from period_sessions where started < until
    union all
    -- What runs at midnight counts on the day that begins, too.
    select hub, starts, 0 from period_days
),
moments as (
    select hub, moment, sum(sum(step)) over (partition by hub order by moment) as servers
    from steps
    group by hub, moment
),
peaks as (
    select m.hub, d.in_period, max(m.servers) as servers
    from moments m join period_days d on d.hub = m.hub and d.day = day_of(m.hub, m.moment)
    where d.known
    group by m.hub, d.in_period
),
taking_part as (
    select g.hub, d.in_period, count(distinct g.group) as groups
    from period_group_days g join period_days d on d.hub = g.hub and d.day = g.day
    where d.members_known and g.sessions > 0 and g.group <> 'none'
    group by g.hub, d.in_period
),
measured as (
    select hub, day, in_period, sum(home_bytes) as bytes,
        row_number() over (partition by hub, in_period order by day desc) as age
    from period_storage
    group by hub, day, in_period
),
homes as (
    select hub, in_period, bytes from measured where age = 1
),
-- Nobody is a number where something is known.
both as (
    select t.hub, t.in_period, t.is_whole,
        case when t.is_known then coalesce(u.users, 0) end as users,
        case when t.is_known and t.has_accounts then coalesce(n.people, 0) end as newcomers,
        case when t.is_known then coalesce(b.sessions, 0) end as sessions,
        case when t.is_known then coalesce(u.hours, 0.0) end as hours,
        case when t.is_known then u.active_hours end as active_hours,
        case when t.is_known then coalesce(p.servers, 0) end as peak,
        u.cpu, u.gpu,
        case when t.has_members then coalesce(g.groups, 0) end as groups,
        h.bytes as homes
    from periods t
        left join used u on u.hub = t.hub and u.in_period = t.in_period
        left join newcomers n on n.hub = t.hub and n.in_period = t.in_period
        left join begun b on b.hub = t.hub and b.in_period = t.in_period
        left join peaks p on p.hub = t.hub and p.in_period = t.in_period
        left join taking_part g on g.hub = t.hub and g.in_period = t.in_period
        left join homes h on h.hub = t.hub and h.in_period = t.in_period
    where t.in_period or t.is_in_history
),
names as (
    select * from (values
        (1, 'users', 'People', 'people', 'active-users-calendar'),
        (2, 'new-users', 'New people', 'people', 'new-users'),
        (3, 'sessions', 'Servers started', 'servers', 'session-lengths'),
        (4, 'hours', 'Server hours', 'server hours', 'active-users-calendar'),
        (5, 'active-hours', 'Active hours', 'hours', 'groups'),
        (6, 'peak', 'Most servers at once', 'servers', 'concurrency-summary'),
        (7, 'cpu', 'Processor time', 'core hours', 'usage-by-user'),
        (8, 'gpu', 'GPU time', 'GPU hours', 'usage-by-user'),
        (9, 'groups', 'Groups that took part', 'groups', 'participation'),
        (10, 'homes', 'Home storage', 'bytes', 'home-storage')
    ) as names (place, number, title, unit, report)
),
numbers as (
    select b.hub, b.in_period, b.is_whole, n.place, n.number, n.title, n.unit, n.report,
        case n.number
            when 'users' then cast(b.users as double)
            when 'new-users' then cast(b.newcomers as double)
            when 'sessions' then cast(b.sessions as double)
            when 'hours' then b.hours
            when 'active-hours' then b.active_hours
            when 'peak' then cast(b.peak as double)
            when 'cpu' then b.cpu
            when 'gpu' then b.gpu
            when 'groups' then cast(b.groups as double)
            when 'homes' then b.homes
        end as figure
    from both b cross join names n
),
compared as (
    select hub, place, number, title, unit, report, bool_and(is_whole) as are_whole,
        max(figure) filter (where in_period) as value,
        max(figure) filter (where not in_period) as before
    from numbers
    group by hub, place, number, title, unit, report
)
select hub, number, title, value, before,
    case when are_whole and before > 0 then (value - before) / before end as change,
    unit, report
from compared
order by hub, place
