-- title: Overview
-- section: Overview
-- question: Is the hub worth it?
-- definition: Ten numbers of the period, each beside the same number of the time before, which is as long and ends the
--   day before the period begins. `users` are people of whom a server ran; `new-users` those of them whose account was
--   added in the same period; `sessions` servers that were started; `hours` server hours, two servers at once counting
--   both; `active-hours` hours in which the hub recorded activity; `peak` the most servers that ran at one moment; `cpu`
--   hours of a processor core that servers used; `gpu` hours of a GPU that they held; `groups` groups of which a member
--   had a server on a day of the membership, and that group alone where one is asked about; `homes` the sizes of all
--   homes on the last day on which they were measured. Sums are over the days that are known. `change` is the number
--   without the one before, as a share of the one before; if the period ends today, which is not over, it compares the
--   days that are over with as many days before the period instead; `difference` is the same in the unit of the number.
--   Both are empty where a day of either period that is over is not known for the number: not its sessions, nor for
--   `new-users` the accounts, for `active-hours` the activity of all who came, for `cpu` and `gpu` the usage, for `groups`
--   the memberships, for `homes` their sizes. `change` is also empty where the number before is 0.
-- scope: group
-- lead: period
-- needs: sessions, members, accounts, usage, storage
-- readers: owner, share
-- people: total, new-users
-- hidden-from-shares: rows of number=gpu, rows of number=homes
-- column: hub text The hub.
-- column: number text Its short name.
-- column: title text Its name.
-- column: value number The number of the period; empty if nothing is known.
-- column: before number The number of the time before; empty if the history does not reach back so far.
-- column: change share Growth since the time before; empty if a day of it is not known.
-- column: difference number The same in the unit of the number.
-- column: unit text What is counted.
-- column: report text The report that tells more.
with days as (
    select *, is_over and day + n_over >= $from as is_compared
    from (
        select *, count(*) filter (where in_period and is_over) over (partition by hub) as n_over
        from period_days
    )
),
whats as (
    select * from (values ('number'), ('change')) as whats (what)
),
-- Each day once for the numbers themselves and, if it is one of those that are compared, once for their change.
parts as (
    select hub, what, in_period, day, is_over, known, in_history, accounts_known, members_known, usage_known
    from days cross join whats
    where what = 'number' or is_compared
),
periods as (
    select hub, what, in_period, min(day) as first, max(day) as last, bool_or(known) as is_known,
        bool_and(in_history) as is_in_history, bool_and(accounts_known) as has_accounts,
        bool_or(members_known) as has_members, bool_or(known and usage_known) as has_usage
    from parts
    group by hub, what, in_period
),
used as (
    select u.hub, d.what, d.in_period, sum(u.hours) as hours, sum(u.active_seconds) / 3600.0 as active_hours,
        sum(u.cpu_core_seconds) / 3600.0 as cpu, sum(u.gpu_seconds) / 3600.0 as gpu,
        sum(u.people - u.told) filter (where d.is_over) as days_untold
    from parts d join period_day_sums u on u.hub = d.hub and u.day = d.day
    where d.known
    group by u.hub, d.what, d.in_period
),
-- What is compared are the first days of the period, those that are over, and the last of the time before it.
limits as (
    select hub, max(day) filter (where in_period and is_over) as last_over, min(day) filter (where is_compared) as first_compared
    from days
    group by hub
),
visitors as (
    select v.hub, what, v.in_period, a.added
    from whats cross join period_visitors v
        join limits l on l.hub = v.hub
        left join period_people a on a.hub = v.hub and a.user = v.user
    where what = 'number' or case when v.in_period then v.first_day <= l.last_over else v.last_day >= l.first_compared end
),
came as (
    select v.hub, v.what, v.in_period, count(*) as users,
        count(*) filter (where v.added >= t.first and v.added <= t.last) as newcomers
    from visitors v join periods t on t.hub = v.hub and t.what = v.what and t.in_period = v.in_period
    group by v.hub, v.what, v.in_period
),
served as (
    select p.hub, d.what, d.in_period, max(p.servers) as servers, sum(p.started) as sessions
    from parts d join period_peaks p on p.hub = d.hub and p.day = d.day
    where d.known
    group by p.hub, d.what, d.in_period
),
taking_part as (
    select g.hub, what, g.in_period, count(*) as groups
    from whats cross join period_groups g
        join limits l on l.hub = g.hub
    where what = 'number' or case when g.in_period then g.first_day <= l.last_over else g.last_day >= l.first_compared end
    group by g.hub, what, g.in_period
),
measured as (
    select s.hub, d.what, d.in_period, s.home_bytes as bytes,
        row_number() over (partition by s.hub, d.what, d.in_period order by d.day desc) as age
    from parts d join period_home_sums s on s.hub = d.hub and s.day = d.day
),
homes as (
    select hub, what, in_period, bytes from measured where age = 1
),
-- Nobody is a number where something is known.
figures as (
    select t.hub, t.what, t.in_period,
        case when t.is_known then coalesce(v.users, 0) end as users,
        case when t.is_known and t.has_accounts then coalesce(v.newcomers, 0) end as newcomers,
        case when t.is_known then coalesce(s.sessions, 0) end as sessions,
        case when t.is_known then coalesce(u.hours, 0.0) end as hours,
        -- Nobody's activity and usage is 0; whether a hub tells of GPUs at all, only a figure shows.
        case when t.is_known then coalesce(u.active_hours, case when coalesce(v.users, 0) = 0 then 0.0 end) end
            as active_hours,
        case when t.is_known then coalesce(s.servers, 0) end as peak,
        coalesce(u.cpu, case when t.has_usage and coalesce(v.users, 0) = 0 then 0.0 end) as cpu,
        coalesce(u.gpu, case when t.has_usage and coalesce(v.users, 0) = 0 and count(u.gpu) over by_hub > 0 then 0.0 end) as gpu,
        coalesce(u.days_untold, 0) as days_untold,
        case when t.has_members then coalesce(g.groups, 0) end as groups,
        h.bytes as homes
    from periods t
        left join used u on u.hub = t.hub and u.what = t.what and u.in_period = t.in_period
        left join came v on v.hub = t.hub and v.what = t.what and v.in_period = t.in_period
        left join served s on s.hub = t.hub and s.what = t.what and s.in_period = t.in_period
        left join taking_part g on g.hub = t.hub and g.what = t.what and g.in_period = t.in_period
        left join homes h on h.hub = t.hub and h.what = t.what and h.in_period = t.in_period
    where t.in_period or t.is_in_history
    window by_hub as (partition by t.hub)
),
-- Whether all days are known for a number: of both periods, and also the one that is not compared.
whole as (
    select hub, bool_and(known) as sessions, bool_and(known and accounts_known) as accounts,
        bool_and(known and usage_known) as usage, bool_and(known and members_known) as members,
        bool_and(known and storage_known) as storage
    from period_days
    where is_over
    group by hub
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
    select f.hub, f.what, f.in_period, n.place, n.number, n.title, n.unit, n.report,
        case n.number
            when 'users' then cast(f.users as double)
            when 'new-users' then cast(f.newcomers as double)
            when 'sessions' then cast(f.sessions as double)
            when 'hours' then f.hours
            when 'active-hours' then f.active_hours
            when 'peak' then cast(f.peak as double)
            when 'cpu' then f.cpu
            when 'gpu' then f.gpu
            when 'groups' then cast(f.groups as double)
            when 'homes' then f.homes
        end as figure,
        case n.number
            when 'new-users' then w.accounts
            when 'active-hours' then w.sessions and f.days_untold = 0
            when 'cpu' then w.usage
            when 'gpu' then w.usage
            when 'groups' then w.members
            when 'homes' then w.storage
            else w.sessions
        end as is_whole
    from figures f left join whole w on w.hub = f.hub cross join names n
),
compared as (
    select hub, place, number, title, unit, report, bool_and(is_whole) as is_whole,
        max(figure) filter (where what = 'number' and in_period) as value,
        max(figure) filter (where what = 'number' and not in_period) as before,
        max(figure) filter (where what = 'change' and in_period) as later,
        max(figure) filter (where what = 'change' and not in_period) as earlier
    from numbers
    group by hub, place, number, title, unit, report
)
select hub, number, title, value, before,
    case when is_whole and earlier > 0 then (later - earlier) / earlier end as change,
    case when is_whole then later - earlier end as difference,
    unit, report
from compared
order by hub, place
