-- title: Active users by week or month
-- section: Activity
-- question: How many people used the hub in each week or month of the calendar, and how much?
-- definition: A person counts once in a week or month if a server of theirs ran at some moment of it. `active` are
--   those of them of whom the hub recorded any activity in it (more than 0 seconds). `sessions` are the servers that
--   were started in it; `hours` are server hours within it, so a server that runs over its end gives each its part, and
--   two servers at once count both. Weeks begin on Monday. All figures are those of the days that are known. A week or
--   month at either end of the period counts with those of its days only that lie in the period.
-- scope: group, user
-- period: 12 months
-- needs: sessions
-- readers: owner, user, share
-- people: users split by starts, ends, complete
-- people-among: active
-- hidden-from-shares: by=week
-- parameter: by = month (week, month) The unit of the calendar.
-- column: hub text The hub.
-- column: starts day First day of the week or month.
-- column: ends day Its last day.
-- column: users count People of whom a server ran.
-- column: active count People with recorded activity; empty if of nobody who came it is known whether there was any.
-- column: sessions count Servers that were started.
-- column: hours hours Server hours.
-- column: complete flag Whether all of its days lie in the period, are over and known. Compare only those that are.
-- chart: bars x=starts y=users
with days as (
    select hub, day, known, is_over, case $by when 'week' then week else month end as starts
    from period_days
),
units as (
    select hub, starts,
        case $by when 'week' then starts + interval '7 days' else starts + interval '1 month' end - 1 as ends,
        count(*) filter (where known) as days_known,
        count(*) filter (where known and is_over) as days_complete
    from days
    group by hub, starts
),
-- One row per person and unit, so that people are counted and never made distinct.
people as (
    select hub, starts, user,
        sum(hours) as hours,
        max(active_seconds) as active_seconds
    from days join period_user_days using (hub, day)
    where known and sessions > 0
    group by hub, starts, user
),
came as (
    select hub, starts,
        count(*) as users,
        count(*) filter (where active_seconds > 0) as active,
        count(active_seconds) as told,
        sum(hours) as hours
    from people
    group by hub, starts
),
begun as (
    select hub, starts, count(*) as sessions
    from days join period_sessions using (hub, day)
    where known
    group by hub, starts
)
select units.hub, units.starts, ends,
    case when days_known > 0 then coalesce(users, 0) end as users,
    case when days_known > 0 and (users is null or told > 0) then coalesce(active, 0) end as active,
    case when days_known > 0 then coalesce(sessions, 0) end as sessions,
    case when days_known > 0 then coalesce(hours, 0.0) end as hours,
    days_complete = ends - units.starts + 1 as complete
from units
    left join came using (hub, starts)
    left join begun using (hub, starts)
order by units.hub, units.starts
