-- title: New, staying, returning and lapsed users
-- section: Activity
-- question: Does the hub grow by new people, and how many does it lose?
-- definition: Of the people of whom a server ran in a week or month, `new` are those whose account was added in it,
--   `staying` those of the others who also came in the week or month before, `first_time` those whose account was added
--   at another time and whose first server ever was started in it, and `returning` are the rest: they came earlier, or
--   may have, with an account that was there when the history began. The four add up to `users`. `lapsed` came in the
--   week or month before and not in this one. An account was added on the day on which it was first seen, if the hub had
--   been looked at before without it: accounts that were there when the history began are never new. Weeks begin on
--   Monday. A week or month at either end of the period counts with those of its days only that lie in the period; the
--   one before counts with all its days. Who stays, returns or lapses is told only where all days of both that are over
--   are known.
-- scope: group, user
-- lead: 62 days
-- period: 12 months
-- needs: sessions, accounts
-- readers: owner, user, share
-- people: users per starts, complete
-- people-among: new, staying, first_time, returning, lapsed
-- people-among: accounts_added
-- people-among: accounts_removed
-- hidden-from-shares: by=week
-- parameter: by = month (week, month) The unit of the calendar.
-- column: hub text The hub.
-- column: starts day First day of the week or month.
-- column: users count People of whom a server ran.
-- column: new count Of these, people whose account was added in this week or month; empty unless accounts are known on all of its days so far.
-- column: staying count Of the others, people who also came in the week or month before; empty unless all days of both are known.
-- column: first_time count People with an account that was added at another time who had never come before; empty as `new` is.
-- column: returning count The rest; empty if `new` or `staying` is.
-- column: lapsed count People who came in the week or month before and not in this one; empty unless all days of that one are known and this one is complete.
-- column: accounts_added count Accounts that were added for the first time, whether they ever started a server or not; empty as `new` is.
-- column: accounts_removed count Accounts that were removed and not added again by the end of the period; empty as `new` is.
-- column: complete flag Whether all of its days lie in the period, are over and known. Compare only those that are.
-- caveat: Somebody who came before only on days that are not known is taken for one who comes for the first time.
-- chart: stacked x=starts y=new,staying,first_time,returning
with days as (
    select hub, day, in_period, known, is_over, accounts_known,
        case $by when 'week' then week else month end as starts
    from period_days
),
units as (
    select hub, starts,
        case $by when 'week' then starts + interval '7 days' else starts + interval '1 month' end - starts as length,
        bool_or(in_period) as in_period,
        bool_and(accounts_known) as accounts_known,
        count(*) filter (where known) as days_known,
        count(*) filter (where known and in_period) as days_counted,
        count(*) filter (where known and in_period and is_over) as days_complete,
        count(*) filter (where in_period and is_over and not known) = 0 as has_no_gap
    from days
    group by hub, starts
),
-- One row per person and unit. Days of the lead-in only tell who came in the unit before.
visits as (
    select hub, user, week as starts, in_period, before from period_weeks where $by = 'week'
    union all
    select hub, user, month, in_period, before from period_months where $by = 'month'
),
kinds as (
    select visits.hub, starts, in_period,
        case $by when 'week' then before + interval '7 days' else before + interval '1 month' end = starts as stays,
        coalesce(date_trunc($by, added) = starts, false) as is_new,
        coalesce(added is not null and date_trunc($by, day_of(people.hub, first_started)) = starts, false) as is_first
    from period_people as people right join visits on people.hub = visits.hub and people.user = visits.user
),
came as (
    select hub, starts,
        count(*) as everybody,
        count(*) filter (where in_period) as users,
        count(*) filter (where in_period and is_new) as new,
        count(*) filter (where in_period and stays and not is_new) as staying,
        count(*) filter (where in_period and is_first and not is_new) as first_time,
        count(*) filter (where stays) as both
    from kinds
    group by hub, starts
),
accounts as (
    select hub, starts,
        count(*) filter (where change = 'added') as added,
        count(*) filter (where change = 'removed') as removed
    from (
        select hub, change, case change when 'added' then added else removed end as day
        from period_people cross join (values ('added'), ('removed')) as changes (change)
    ) as moments join days using (hub, day)
    where in_period
    group by hub, starts
),
-- Units follow each other without a gap, so the row before is the unit before.
figures as (
    select units.hub, units.starts, in_period,
        days_counted > 0 as known,
        accounts_known,
        days_complete = length as complete,
        has_no_gap and lag(days_known = length, 1, false) over by_hub as has_before,
        coalesce(users, 0) as users,
        coalesce(new, 0) as new,
        coalesce(staying, 0) as staying,
        coalesce(first_time, 0) as first_time,
        coalesce(lag(everybody) over by_hub, 0) - coalesce(both, 0) as lapsed,
        coalesce(added, 0) as accounts_added,
        coalesce(removed, 0) as accounts_removed
    from units
        left join came using (hub, starts)
        left join accounts using (hub, starts)
    window by_hub as (partition by units.hub order by units.starts)
)
select hub, starts,
    case when known then users end as users,
    case when accounts_known then new end as new,
    case when known and has_before then staying end as staying,
    case when accounts_known then first_time end as first_time,
    case when has_before and accounts_known then users - new - staying - first_time end as returning,
    case when complete and has_before then lapsed end as lapsed,
    case when accounts_known then accounts_added end as accounts_added,
    case when accounts_known then accounts_removed end as accounts_removed,
    complete
from figures
where in_period
order by hub, starts
