-- title: Retention
-- section: Activity
-- question: Of the people who joined in a month, how many still come one, two, three months later?
-- definition: A cohort are the people whose account was added in one month of the calendar and who have started a
--   server at any time since, up to the end of the period. Its `users` of a month are those of them of whom a server
--   ran at some moment of it; `share` is `users` divided by the size of the cohort. Month 0 is
--   the one in which the accounts were added: the day on which an account was first seen, if the hub had been looked at
--   before without it. Accounts that were there when the history began are in no cohort. A month makes a cohort if all
--   of its days lie in the period, are over, and accounts were known on them. Months without such people have no rows.
-- scope: group, user
-- period: 12 months
-- needs: sessions, accounts
-- readers: owner, user, share
-- people: size per cohort, months_later
-- people-among: users, share
-- column: hub text The hub.
-- column: cohort day First day of the month in which the accounts were added.
-- column: size count People of the cohort.
-- column: months_later count Months between the cohort's month and the one that is looked at.
-- column: users count People of the cohort who came in that month; empty if it is not over within the period, or any day of it is not known.
-- column: share share `users` divided by `size`.
-- chart: heatmap x=months_later y=cohort value=share
with months as (
    select hub, month,
        -- Months follow each other without a gap.
        row_number() over (partition by hub order by month) as number,
        count(*) filter (where is_over and known) = length as is_whole,
        count(*) filter (where is_over and accounts_known) = length as makes_cohort
    from (
        select hub, month, known, is_over, accounts_known, month + interval '1 month' - month as length
        from period_days
    )
    group by hub, month, length
),
people as (
    select hub, user, cast(date_trunc('month', added) as date) as cohort
    from period_people
    where first_started is not null
),
cohorts as (
    select people.hub, cohort, number, count(*) as size
    from people join months on people.hub = months.hub and cohort = month
    where makes_cohort
    group by people.hub, cohort, number
),
stayed as (
    select hub, cohort, month, count(*) as users
    from people join period_months using (hub, user)
    group by hub, cohort, month
),
figures as (
    select cohorts.hub, cohorts.cohort, size, cast(months.number - cohorts.number as bigint) as months_later,
        case when is_whole then coalesce(users, 0) end as users
    from cohorts
        join months on cohorts.hub = months.hub and cohorts.number <= months.number
        left join stayed on cohorts.hub = stayed.hub and cohorts.cohort = stayed.cohort and months.month = stayed.month
)
select hub, cohort, size, months_later, users, 1.0 * users / size as share
from figures
order by hub, cohort, months_later
