-- title: Idle servers
-- section: Resources
-- question: Which servers ran without anybody using them?
-- definition: Every session that ran at some moment of the period, whose activity is known and that was idle for at
--   least the chosen number of hours, with its whole length, also where it began before the period or went on after it:
--   from its start to its end, of a running one up to now. Active is the time in which the hub saw activity: each advance
--   of the server's last activity counts the time since the one before, at most ten minutes. The rest is idle, all pauses
--   together. Sessions of which only start and end are known are not listed.
-- scope: group, user
-- needs: sessions
-- readers: user
-- parameter: idle = 2 (number) From how many idle hours on a session is listed; 0 lists all.
-- column: hub text The hub.
-- column: user name The person.
-- column: server name The server's name; that of the default server is an empty text.
-- column: started time When the server started.
-- column: hours hours How long it ran, or has run so far.
-- column: active_hours hours How long of that it was in use.
-- column: idle_hours hours How long it was not: the difference, never below 0.
-- column: idle_share share Idle part of its time; empty for a session without length.
-- caveat: What runs without traffic, such as a long computation in a notebook that nobody has open, may count as idle: see idle-gpus and right-sizing for what was used.
with used as (
    select hub, user, server, started, seconds, active_seconds,
        greatest(seconds - active_seconds, 0) as idle_seconds
    from period_sessions
)
select hub, user, server, started,
    seconds / 3600 as hours,
    active_seconds / 3600.0 as active_hours,
    idle_seconds / 3600 as idle_hours,
    idle_seconds / nullif(seconds, 0) as idle_share
from used
where active_seconds is not null and idle_seconds >= 3600 * $idle
order by hub, idle_hours desc, user, server, started
