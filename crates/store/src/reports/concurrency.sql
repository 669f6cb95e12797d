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
select hub, day,
    case when known then servers end as servers,
    case when known and servers > 0 then servers_at end as servers_at,
    case when known then users end as users,
    case when known and users > 0 then users_at end as users_at
from period_days join period_peaks using (hub, day)
order by hub, day
