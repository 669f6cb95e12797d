-- title: Stickiness
-- section: Activity
-- question: Do people come back, or was it once?
-- definition: Of the people who came within the last 30 days, the share who came today (`daily_per_monthly`, known as
--   DAU/MAU), and the share who came within the last 7 days (`weekly_per_monthly`, WAU/MAU). To come is to have a
--   server that ran at some moment of the day; the 7 and the 30 days end with the day itself and include it; each
--   person counts once. Both shares are empty where any of the 30 days is not known: after a gap they would be too large.
--   What is good depends on what the hub is for: a tool of daily work is doing well from about 20 %
--   daily to monthly and 60 % weekly to monthly; a course that meets twice a week reaches about 2 of 7, or 29 %, daily
--   to monthly on the mean over a week, even if everybody comes each time. Weekends pull the daily share down, so
--   compare whole weeks.
-- scope: group, user
-- lead: 29 days
-- needs: sessions
-- readers: owner, user, share
-- people: daily, weekly, monthly per day
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: daily count People of whom a server ran on the day.
-- column: weekly count People of whom a server ran on any of the 7 days that end with this one; empty where they reach back to before the history began, or fewer than half of them are known.
-- column: monthly count The same of 30 days.
-- column: daily_per_monthly share `daily` divided by `monthly`; empty if nobody came in 30 days, or any of them is not known.
-- column: weekly_per_monthly share `weekly` divided by `monthly`; empty as the other one is.
-- caveat: Days that are not known are left out of `weekly` and `monthly`, which may then be too small.
-- chart: line x=day y=daily_per_monthly,weekly_per_monthly
with rolling as (
    select hub, day, in_period, known, daily, weekly, monthly,
        lag(in_history, 6, false) over days_so_far and 2 * count(*) filter (where known) over week >= 7 as has_week,
        lag(in_history, 29, false) over days_so_far and 2 * count(*) filter (where known) over month >= 30 as has_month,
        count(*) filter (where known) over month = 30 as is_whole
    from period_days join period_windows using (hub, day)
    window days_so_far as (partition by hub order by day),
        week as (partition by hub order by day rows 6 preceding),
        month as (partition by hub order by day rows 29 preceding)
)
select hub, day,
    case when known then daily end as daily,
    case when known and has_week then weekly end as weekly,
    case when known and has_month then monthly end as monthly,
    case when is_whole then 1.0 * daily / nullif(monthly, 0) end as daily_per_monthly,
    case when is_whole then 1.0 * weekly / nullif(monthly, 0) end as weekly_per_monthly
from rolling
where in_period
order by hub, day
