-- title: Time since last activity
-- section: Activity
-- question: Who has not been here for long, and who never came?
-- definition: All people the history knows of up to the end of the period, without those whose account was removed by
--   then. `last_seen` is the last moment at which a server of theirs ran: now if one runs, the end of the period if one
--   went on after it. `days_since` counts whole days of the hub's calendar from the day of `last_seen` to the last day
--   of the period, or to today if the period is not over: 0 is that day itself, 1 the day before. A server that ended
--   at midnight counts for the day that ended. Whoever never came has no `last_seen` and stands first.
-- scope: group, user
-- needs: sessions, accounts
-- column: hub text The hub.
-- column: user name Who.
-- column: last_started time When their last server was started; empty if none ever was.
-- column: last_seen time The last moment at which a server of theirs ran, within the period or before; empty if none ever did.
-- column: days_since count Days since then; empty if they never came.
-- column: is_running flag Whether a server of theirs ran when the period ended, or runs now.
-- caveat: Who came only before the history began has never come, as far as it knows.
with ends as (
    select hub, max(day) as last_day
    from period_days
    group by hub
)
select hub, user, last_started, last_seen,
    last_day - day_of(hub, greatest(last_started, last_seen - interval '1 microsecond')) as days_since,
    is_running
from period_people join ends using (hub)
where removed is null
order by hub, days_since desc nulls first, user
