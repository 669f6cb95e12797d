-- title: Hours of the week
-- section: Sessions
-- question: At which hours of the week is the hub busy?
-- definition: How many servers ran at once in each hour of the week, on average: the hours that all servers ran within
--   this hour of the local clock, divided by how long it lasted on all days of the period that are known and over, on
--   the day of the first look at the hub without the hours that had begun by then. So a server that ran for half of the
--   hour counts one half, and an hour of a day without servers counts as 0. `users` is the same of people: two servers
--   of one person at the same time count once. An hour that the clock repeats or skips when it is changed counts as
--   often and as long as it was.
-- scope: group, user
-- needs: sessions
-- readers: owner, user
-- column: hub text The hub.
-- column: weekday count Day of the week: 1 is Monday, 7 is Sunday.
-- column: hour count Hour of the local clock, 0 to 23: 9 is from 9:00 to 10:00.
-- column: servers number Servers that ran at once, on average; empty if no such hour is known and over.
-- column: users number People of whom a server ran, on average.
-- chart: heatmap x=hour y=weekday value=servers
select hub, weekday, hour_of(hub, hour) as hour,
    sum(server_seconds) filter (where counts) / sum(seconds) filter (where counts) as servers,
    sum(user_seconds) filter (where counts) / sum(seconds) filter (where counts) as users
from (
    select hub, weekday, hour, h.seconds, server_seconds, user_seconds, known and is_over and known_from <= hour as counts
    from period_days join period_hours as h using (hub, day)
)
group by hub, weekday, hour_of(hub, hour)
order by hub, weekday, hour
