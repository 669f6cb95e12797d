with months as (
  select hub, month, row_number() over (partition by hub order by month) as number,
    count(*) filter (where is_over and known) = length as is_whole, count(*) filter (where is_over and accounts_known) = length as makes_cohort
  from (
    select hub, month, known, is_over, known and day >= since as accounts_known, cast(month + interval 1 month as date) - month as length
    from period_days, accounts_since
  )
  group by hub, month, length
), people as (
  select hub, "user", cast(date_trunc('month', added) as date) as cohort from period_people where first_started is not null
), cohorts as (
  select people.hub, cohort, number, count(*) as size
  from people join months on people.hub = months.hub and cohort = month where makes_cohort group by all
), came as (
  select distinct hub, "user", month from session_days join period_days using (hub, day) where known
), stayed as (
  select hub, cohort, month, count(*) as users from came join people using (hub, "user") group by all
)
select cohorts.hub, cohorts.cohort, size, months.number - cohorts.number as months_later,
  case when is_whole then coalesce(users, 0) end as users, case when is_whole then coalesce(users, 0) / size end as share
from cohorts join months on cohorts.hub = months.hub and cohorts.number <= months.number
  left join stayed on cohorts.hub = stayed.hub and cohorts.cohort = stayed.cohort and months.month = stayed.month
order by 1, 2, 4
