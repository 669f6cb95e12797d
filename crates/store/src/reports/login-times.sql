-- title: Login and logout times
-- section: Activity
-- question: When did who log in and out?
-- definition: Each login that worked, each attempt that failed, and each logout of the period, from the first moment
--   of its first day to the last of its last. A logout is one that somebody asked for: closing a browser is none. The
--   use of a token is no login.
-- scope: group, user
-- needs: hooks
-- readers: user
-- column: hub text The hub.
-- column: at time When.
-- column: what text `login`, `failed login` or `logout`.
-- column: user name Who; empty for a failed login with a name that the hub does not know.
-- caveat: A hub tells logins only with our hooks in its configuration.
-- caveat: Failed logins of nobody the hub knows are left out as soon as a group or a user is asked for.
select hub, at,
    case kind when 'login-failed' then 'failed login' else kind end as what,
    user
from period_events
where kind in ('login', 'login-failed', 'logout')
order by hub, at, what, user
