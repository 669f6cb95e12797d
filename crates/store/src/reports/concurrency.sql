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
-- readers: owner, user, share
-- people: users per day
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: servers count Most servers at once.
-- column: servers_at time When there were so many first; empty if there was none.
-- column: users count Most people at once.
-- column: users_at time When there were so many first; empty if there was nobody.
-- chart: line x=day y=servers,users
with steps as (
    select hub, moment, servers, users from period_steps
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
