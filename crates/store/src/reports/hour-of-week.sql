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
with -- Quarters of an hour: no time zone has hours that begin between them.
by_quarter as (
    select hub, quarter,
        max(weekday) as weekday, max(hour) as hour, bool_or(counts) as counts,
        sum(servers) as servers, sum(servers * late) as servers_late,
        sum(users) as users, sum(users * late) as users_late
    from (
        select hub, date_bin(interval '15 minutes', moment) as quarter, null as weekday, null as hour, null as counts,
            servers, users, seconds_between(date_bin(interval '15 minutes', moment), moment) as late
        from period_steps
        union all
        -- Each of the period, also those in which nothing begins or ends.
        select hub, quarter, weekday, hour_of(hub, quarter), known and is_over and known_from <= hour, 0, 0, 0.0
        from (
            select hub, weekday, known, is_over, known_from, hour, hour + after as quarter
            from (select *, unnest(hours_of(hub, starts, ends)) as hour from period_days)
                cross join (
                    values (interval '0 minutes'), (interval '15 minutes'), (interval '30 minutes'), (interval '45 minutes')
                ) as quarters (after)
        )
    )
    group by hub, quarter
),
-- Who is there at the end was there for all of it but the time before they came; who left, the other way round.
ran as (
    select hub, weekday, hour, counts,
        sum(servers) over so_far * 900 - servers_late as server_seconds,
        sum(users) over so_far * 900 - users_late as user_seconds
    from by_quarter
    window so_far as (partition by hub order by quarter)
)
select hub, weekday, hour,
    avg(server_seconds) filter (where counts) / 900 as servers,
    avg(user_seconds) filter (where counts) / 900 as users
from ran
where weekday is not null
group by hub, weekday, hour
order by hub, weekday, hour
