-- title: How many at once
-- section: Sessions
-- question: For how many servers and people at once does the hub have to be made?
-- definition: How many servers ran at the same moment, and of how many people: two servers of one person count once.
--   `peak` is the largest number, and `at` the first moment at which there were so many. `p95` is the smallest number
--   that was not exceeded for 95 % of the time, `mean` the mean over the time; both weigh each number with how long
--   there were so many, also at night. Time is that of the days of the period that are known, up to now, on the day of
--   the first look at the hub from the first whole hour on. A server runs from its start on, and no longer at the
--   moment of its end.
-- scope: group, user
-- needs: sessions, accounts
-- readers: owner, user
-- column: hub text The hub.
-- column: what text `servers` or `users`.
-- column: peak count Most at once.
-- column: at time When there were so many first; empty if there was never one.
-- column: p95 number Not exceeded for 95 % of the time.
-- column: mean number Mean over the time.
-- column: known_hours hours Time that the figures are about.
-- column: accounts count Accounts of the hub at the end of the period; empty if they are not known.
-- chart: bars x=what y=peak,p95,mean
with ranked as (
    select hub, what, level, at, seconds,
        sum(seconds) over (partition by hub, what order by level) as seconds_up_to,
        sum(seconds) over (partition by hub, what) as seconds_in_all
    from period_levels
),
summary as (
    select hub, what,
        max(level) as peak,
        first_value(at order by level desc) as at,
        min(level) filter (where 20 * seconds_up_to >= 19 * seconds_in_all) as p95,
        sum(level * seconds) / sum(seconds) as mean,
        sum(seconds) / 3600 as known_hours
    from ranked
    group by hub, what
),
accounts as (
    select hub, count(*) as accounts from period_people where has_account and removed is null group by hub
),
-- Both rows of each hub, also of one of which nothing is known. Today need not be the
-- same day everywhere.
hubs as (
    select hub, what, case when accounts_known then coalesce(accounts, 0) end as accounts
    from (
            select hub, first_value(accounts_known order by day desc) as accounts_known
            from period_days
            group by hub
        )
        left join accounts using (hub)
        cross join (values ('servers'), ('users')) as whats (what)
)
select hub, what, peak,
    case when peak > 0 then at end as at,
    cast(p95 as double) as p95, mean,
    coalesce(known_hours, 0.0) as known_hours, accounts
from hubs left join summary using (hub, what)
order by hub, what
