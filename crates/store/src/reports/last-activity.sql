-- title: Time since a server last ran
-- section: Activity
-- question: Who has not had a server for long, and who never came?
-- definition: All people the history knows of up to the end of the period, without those whose account was removed by
--   then. `last_seen` is the last moment at which a server of theirs ran: now if one runs, the end of the period if one
--   went on after it. `days_since` counts whole days of the hub's calendar from the day of `last_seen` to the last day
--   of the period, or to today if the period is not over: 0 is that day itself, 1 the day before. A server that ended
--   at midnight counts for the day that ended. A server may run without anybody using it: `last_active` is the last day
--   of the period on which the hub recorded activity of a server of theirs. Whoever never came has no `last_seen` and stands first.
-- scope: group, user
-- needs: sessions, accounts
-- readers: owner, user
-- hidden-from-owners: last_started, last_seen, days_since, is_running
-- column: hub text The hub.
-- column: user name Who.
-- column: last_started time When their last server was started; empty if none ever was.
-- column: last_seen time The last moment at which a server of theirs ran, within the period or before; empty if none ever did.
-- column: days_since count Days since then; empty if they never came.
-- column: last_active day Their last day with recorded activity, within the period; empty if there was none in it, or it is not known.
-- column: is_running flag Whether a server of theirs ran when the period ended, or runs now.
-- caveat: Who came only before the history began has never come, as far as it knows.
with ends as (
    select hub, max(day) as last_day
    from period_days
    group by hub
),
active as (
    select hub, user, max(last_active) as last_active
    from period_user_weeks
    group by hub, user
)
select people.hub, people.user, last_started, last_seen,
    last_day - last_day_of(people.hub, last_started, last_seen) as days_since,
    last_active, is_running
from ends join period_people as people on ends.hub = people.hub
    left join active on people.hub = active.hub and people.user = active.user
where removed is null
order by people.hub, days_since desc nulls first, people.user
