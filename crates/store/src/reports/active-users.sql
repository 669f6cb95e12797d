-- title: Active users by day
-- section: Activity
-- question: How many people use the hub, day by day?
-- definition: A person counts on a day of the hub's calendar if a server of theirs ran at some moment of it, however
--   short, and also if it was started on an earlier day. Several servers of one person count once. `weekly` are the
--   people who count on at least one of the 7 days up to and including this one, `monthly` the same of 30 days: each
--   person once; days that are not known are left out, and where fewer than half of the 7 or the 30 are known there is
--   no number. `active` are those of the day's people of whom the hub recorded any activity on that day (more than 0
--   seconds); people whose activity is not known are not among them.
-- scope: group, user
-- lead: 29 days
-- needs: sessions
-- readers: owner, user, share
-- people: users, weekly, monthly per day
-- people-among: active
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: users count People of whom a server ran on the day.
-- column: weekly count People of whom a server ran on any of the 7 days that end with this one; empty where they reach back to before the history began, or fewer than half of them are known.
-- column: monthly count The same of 30 days.
-- column: active count People with recorded activity; empty if of nobody who came it is known whether there was any.
-- caveat: Days that are not known are left out of `weekly` and `monthly`, which may then be too small.
-- chart: line x=day y=users,weekly,monthly
with came as (
    select hub, day, user, active_seconds
    from period_days join period_user_days using (hub, day)
    where known and sessions > 0
),
-- Somebody who comes counts in a window from that day on until the window has moved past it, or until they come again
-- and count anew: so nobody counts twice, and one sort serves all windows.
visits as (
    select hub, day, active_seconds,
        least(coalesce(lead(day) over (partition by hub, user order by day) - day, 30), 30) as until_next
    from came
),
-- The same visits together, since everything after this concerns days and no longer people.
alike as (
    select hub, day, until_next,
        count(*) as people,
        count(*) filter (where active_seconds > 0) as active,
        count(active_seconds) as told
    from visits
    group by hub, day, until_next
),
steps as (
    select hub, length, step, people, active, told,
        case step when 1 then day else day + least(until_next, length) end as day
    -- Values come first in a cross join: there is a batch of rows for each of what stands before it.
    from (values (1), (7), (30)) as windows (length)
        cross join (values (1), (-1)) as steps (step)
        cross join alike
),
changes as (
    select hub, day,
        sum(step * people) filter (where length = 1) as users,
        sum(step * people) filter (where length = 7) as weekly,
        sum(step * people) filter (where length = 30) as monthly,
        sum(active) filter (where length = 1 and step = 1) as active,
        sum(told) filter (where length = 1 and step = 1) as told
    from steps
    group by hub, day
),
rolling as (
    select hub, day, in_period, known, active, told,
        sum(coalesce(users, 0)) over days_so_far as users,
        sum(coalesce(weekly, 0)) over days_so_far as weekly,
        sum(coalesce(monthly, 0)) over days_so_far as monthly,
        lag(in_history, 6, false) over days_so_far and 2 * count(*) filter (where known) over week >= 7 as has_week,
        lag(in_history, 29, false) over days_so_far and 2 * count(*) filter (where known) over month >= 30 as has_month
    from period_days left join changes using (hub, day)
    window days_so_far as (partition by hub order by day),
        week as (partition by hub order by day rows 6 preceding),
        month as (partition by hub order by day rows 29 preceding)
)
select hub, day,
    case when known then users end as users,
    case when known and has_week then weekly end as weekly,
    case when known and has_month then monthly end as monthly,
    case when known and (users = 0 or told > 0) then coalesce(active, 0) end as active
from rolling
where in_period
order by hub, day
