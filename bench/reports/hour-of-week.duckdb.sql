with ran as (
  select hub, started, until, max(until) over (partition by hub, "user" order by started rows between unbounded preceding and 1 preceding) as covered
  from period_sessions where started < until
), steps as (
  select hub, epoch_us(started) as moment, 1 as servers, case when started < covered then 0 else 1 end as users from ran
  union all select hub, epoch_us(until), -1, case when until <= covered then 0 else -1 end from ran
  union all select hub, epoch_us(covered), 0, 1 from ran where started < covered and covered < until
), changes as (
  select hub, moment // 900000000 as quarter, sum(servers) as servers, sum(servers * (moment % 900000000)) / 1e6 as servers_late,
    sum(users) as users, sum(users * (moment % 900000000)) / 1e6 as users_late
  from steps group by all
), quarters as (
  select hub, day, weekday, known and is_over as counts,
    unnest(range(epoch_us(starts) // 900000000, epoch_us(ends) // 900000000)) as quarter
  from period_days
), by_quarter as (
  select coalesce(changes.hub, quarters.hub) as hub, quarter, weekday, counts,
    hour(timezone($zone, make_timestamptz(quarter * 900000000))) as hour,
    coalesce(servers, 0) as servers, coalesce(servers_late, 0) as servers_late, coalesce(users, 0) as users, coalesce(users_late, 0) as users_late
  from changes full join quarters using (quarter)
), summed as (
  select hub, weekday, hour, counts, sum(servers) over so_far * 900 - servers_late as server_seconds, sum(users) over so_far * 900 - users_late as user_seconds
  from by_quarter window so_far as (partition by hub order by quarter)
)
select hub, weekday, hour, avg(server_seconds) filter (where counts) / 900 as servers, avg(user_seconds) filter (where counts) / 900 as users
from summed where weekday is not null group by all order by hub, weekday, hour
