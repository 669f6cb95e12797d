with ran as (
  select hub, started, until, max(until) over (partition by hub, "user" order by started rows between unbounded preceding and 1 preceding) as covered
  from period_sessions where started < until
), steps as (
  select hub, started as moment, 1 as servers, case when started < covered then 0 else 1 end as users from ran
  union all select hub, until, -1, case when until <= covered then 0 else -1 end from ran
  union all select hub, covered, 0, 1 from ran where started < covered and covered < until
  union all select hub, starts, 0, 0 from period_days
), levels as (
  select hub, moment, servers as step,
    sum(servers * 1000000 + users) over (partition by hub order by moment, servers rows unbounded preceding)::bigint as level
  from steps
), peaks as (
  select hub, day_of(moment) as day, max(level // 1000000) as servers, arg_max(moment, (level // 1000000, -epoch_us(moment))) as servers_at,
    max(level % 1000000) as users, arg_max(moment, (level % 1000000, -epoch_us(moment))) as users_at
  from levels where step >= 0 group by all
)
select hub, day, case when known then servers end as servers, case when known and servers > 0 then servers_at end as servers_at,
  case when known then users end as users, case when known and users > 0 then users_at end as users_at
from period_days join peaks using (hub, day) order by hub, day
