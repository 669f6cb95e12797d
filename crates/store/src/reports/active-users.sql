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
with days as (
    select d.hub, d.day, in_period, in_history, known, daily, weekly, monthly, active, told
    from period_days d
        join period_windows w on w.hub = d.hub and w.day = d.day
        left join period_day_sums s on s.hub = d.hub and s.day = d.day
),
rolling as (
    select hub, day, in_period, known, daily, weekly, monthly, active, told,
        lag(in_history, 6, false) over days_so_far and 2 * count(*) filter (where known) over week >= 7 as has_week,
        lag(in_history, 29, false) over days_so_far and 2 * count(*) filter (where known) over month >= 30 as has_month
    from days
    window days_so_far as (partition by hub order by day),
        week as (partition by hub order by day rows 6 preceding),
        month as (partition by hub order by day rows 29 preceding)
)
select hub, day,
    case when known then daily end as users,
    case when known and has_week then weekly end as weekly,
    case when known and has_month then monthly end as monthly,
    case when known and (daily = 0 or told > 0) then coalesce(active, 0) end as active
from rolling
where in_period
order by hub, day
