-- title: Regular users
-- section: Activity
-- question: Who uses the hub regularly?
-- definition: A regular user spends at least 8 hours a week on the hub, on the mean over the whole weeks of the
--   period: Monday to Sunday, all days in the period, over and known. Weeks in which somebody did not come, or was no
--   user yet, count as 0 hours. Hours are active hours where they are known for each day on which the person came in
--   these weeks; otherwise server hours, in which two servers at once count both. `basis` says which. Listed are the
--   people of whom a server ran in these weeks; none if the period has no whole week.
-- scope: group, user
-- needs: sessions
-- readers: owner, user
-- column: hub text The hub.
-- column: user name Who.
-- column: weeks count Whole weeks of the period, over and with all days known.
-- column: hours_per_week hours Hours a week, on the mean over these weeks.
-- column: basis text What the hours are: `active` or `server hours`.
-- column: regular flag Whether it is at least 8 hours a week.
-- caveat: A server that nobody uses has server hours too, so people with the basis `server hours` may only seem to be regular.
-- chart: rows x=user y=hours_per_week top=20
with weeks as (
    select hub, week, count(*) over (partition by hub) as weeks
    from period_days
    group by hub, week
    having count(*) filter (where known and is_over) = 7
),
people as (
    select hub, user, weeks,
        sum(hours) / weeks as server_hours,
        case when sum(told) = sum(days) then sum(active_seconds) / 3600.0 / weeks end as active_hours
    from weeks join period_user_weeks using (hub, week)
    where days > 0
    group by hub, user, weeks
),
figures as (
    select hub, user, weeks,
        coalesce(active_hours, server_hours) as hours_per_week,
        case when active_hours is null then 'server hours' else 'active' end as basis
    from people
)
select hub, user, weeks, hours_per_week, basis,
    -- Hours are sums of parts: 8 of them must not fall short by the last bit.
    round(hours_per_week, 9) >= 8 as regular
from figures
order by hub, round(hours_per_week, 9) desc, user
