with ran as (
  select hub, started, until, max(until) over (partition by hub, "user" order by started rows between unbounded preceding and 1 preceding) as covered
  from period_sessions where started < until
), steps as (
  select hub, started as moment, 1 as servers, case when started < covered then 0 else 1 end as users from ran
  union all select hub, until, -1, case when until <= covered then 0 else -1 end from ran
  union all select hub, covered, 0, 1 from ran where started < covered and covered < until
  union all select hub, starts, 0, 0 from period_days
), levels as (
  select hub, moment, lead(moment) over times as next, sum(servers * 1000000 + users) over (times rows unbounded preceding)::bigint as level
  from steps window times as (partition by hub order by moment, servers)
), lasted as (
  select hub, level // 1000000 as servers, level % 1000000 as users, min(moment) as "at", sum(seconds) as seconds
  from (
    select levels.hub, level, moment, (epoch_us(least(next, ends)) - epoch_us(moment)) / 1e6 as seconds
    from levels join period_days days on days.hub = levels.hub and days.day = day_of(moment) where known
  )
  where seconds > 0 group by hub, level
), by_level as (
  select hub, what, level, min("at") as "at", sum(seconds) as seconds
  from (
    select hub, 'servers' as what, servers as level, "at", seconds from lasted
    union all select hub, 'users', users, "at", seconds from lasted
  )
  group by all
), ranked as (
  select *, sum(seconds) over (partition by hub, what order by level) as seconds_up_to, sum(seconds) over (partition by hub, what) as seconds_in_all
  from by_level
), summary as (
  select hub, what, max(level) as peak, arg_max("at", level) as "at", min(level) filter (where 20 * seconds_up_to >= 19 * seconds_in_all) as p95,
    sum(level * seconds) / sum(seconds) as mean, sum(seconds) / 3600 as known_hours
  from ranked group by hub, what
), accounts as (
  select hub, count(*) as accounts from period_people where removed is null group by hub
)
select hub, what, peak, case when peak > 0 then "at" end as "at", p95::double as p95, mean, coalesce(known_hours, 0) as known_hours,
  case when known and day >= since then coalesce(accounts, 0) end as accounts
from (
  select hub, what, arg_max(known, day) as known, max(day) as day, any_value(since) as since
  from period_days, accounts_since, (values ('servers'), ('users')) as whats (what) group by hub, what
)
  left join accounts using (hub) left join summary using (hub, what)
order by hub, what
