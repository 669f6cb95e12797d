-- Days on which a server of somebody ran, from the sessions themselves.
select hub, day, "user", count(*) as sessions,
       sum(seconds_on(hub, day, started, until)) / 3600.0 as hours
from sessions_raw
group by hub, day, "user"
