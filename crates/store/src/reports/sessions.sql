-- title: Sessions
-- section: Sessions
-- question: Which servers ran, whose, when, and for how long?
-- definition: Each server that ran at some moment of the period, from its start to its end: also the part before the
--   period and behind it. A server that outlived a restart of the hub is one session. A server that ended at midnight
--   sharp did not run on the day that begins then. `hours` of a server that still runs go up to now. `active_hours` are
--   the hours with recorded activity: each sign of activity counts the time since the one before, at most ten minutes.
--   Of the members of a group it is what ran on days of their membership: where these begin or end in the middle,
--   `started` and `ended` are their limits, and what is known of the whole only is empty.
-- scope: group, user
-- needs: sessions
-- readers: owner, user
-- hidden-from-owners: image, options, rows without ended
-- parameter: most = 200000 (number) How many are listed at most: of more, those that were started last.
-- column: hub text The hub.
-- column: user name Whose server.
-- column: server name Name of the server; empty is the default server.
-- column: started time When the hub started it.
-- column: ended time When it ended; empty if it still runs.
-- column: hours hours From start to end, or to now.
-- column: active_hours hours Hours with activity; empty where only start and end are known.
-- column: end_reason text `stopped`, `crashed or evicted`, `hub restart`, or `unobserved` if nobody saw how; empty if it
--   still runs, or ran on behind the membership.
-- column: image text Container image, if the hub told it.
-- column: options text What the user chose at the start, as JSON.
-- caveat: Where nobody looked when a server ended, `ended` is the last moment at which it surely ran.
-- caveat: If there are as many rows as `most` says, sessions that were started earlier are not listed.
select hub, user, server, started, ended,
    seconds / 3600 as hours,
    active_seconds / 3600.0 as active_hours,
    end_reason, image, options
from (
    select * from period_sessions
    order by started desc, hub, user, server
    limit cast($most as bigint)
)
order by hub, started, user, server
