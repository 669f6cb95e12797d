-- title: Servers at once
-- section: Sessions
-- question: How many servers run at once at most, day by day, and how many people have one?
-- definition: `servers` is the largest number of servers that ran at the same moment of the day, `users` the largest
--   number of people of whom a server ran at the same moment: two servers of one person count once. A server runs from
--   its start on, and no longer at the moment of its end: one that starts when another ends does not run beside it. Those
--   that ran at midnight already count. `servers_at` and `users_at` are the first moments of the day at which there were
--   so many. Of today it is the largest number so far.
-- scope: group, user
-- needs: sessions
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: servers count Most servers at once.
-- column: servers_at time When there were so many first; empty if there was none.
-- column: users count Most people at once.
-- column: users_at time When there were so many first; empty if there was nobody.
-- chart: line x=day y=servers,users
with sessions as (
    -- Until when the sessions of the same person that began earlier ran: a person counts only once.
    select hub, started, until,
        max(until) over earlier as covered
    from period_sessions
    where started < until
    window earlier as (partition by hub, user order by started rows between unbounded preceding and 1 preceding)
),
steps as (
    select hub,
        case step when 'start' then started when 'end' then until else covered end as moment,
        case step when 'start' then 1 when 'end' then -1 else 0 end as servers,
        case
            when step = 'start' and started < covered then 0
            when step = 'end' and until <= covered then 0
            when step = 'end' then -1
            else 1
        end as users
    from sessions cross join (values ('start'), ('end'), ('goes on')) as steps (step)
    where step <> 'goes on' or (started < covered and covered < until)
    union all
    -- Each midnight, for those who are there already.
    select hub, starts, 0, 0 from period_days
),
-- Of the same moment, ends come first. Servers and people are summed up as one number: that is one running sum less.
levels as (
    select hub, moment, servers as step,
        sum(servers * 1000000 + users) over (partition by hub order by moment, servers rows unbounded preceding) as level
    from steps
),
peaks as (
    select hub, day,
        max(servers) as servers,
        first_value(moment order by servers desc, moment) as servers_at,
        max(users) as users,
        first_value(moment order by users desc, moment) as users_at
    from (
        select hub, day_of(hub, moment) as day, moment, level / 1000000 as servers, level % 1000000 as users
        from levels
        where step >= 0
    )
    group by hub, day
)
select hub, day,
    case when known then servers end as servers,
    case when known and servers > 0 then servers_at end as servers_at,
    case when known then users end as users,
    case when known and users > 0 then users_at end as users_at
from period_days join peaks using (hub, day)
order by hub, day
