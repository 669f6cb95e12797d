-- title: Logins in all
-- section: Activity
-- question: How many people log in over the period, and who how often?
-- definition: Logins of the days of the period of which they are known, in all, or person by person with `by=user`.
--   `users` are the people who logged in, each once, so they are fewer than those of the single days together; `days`
--   are days on which anybody, or that person, logged in. `logins` are logins that worked, each counted: by form, by
--   another service, by a header or automatic, but not the use of a token. `failed` are attempts that did not work, for
--   whatever name; with `by=user` those with names that the hub does not know have a row without a name. `logouts` are
--   those that somebody asked for: closing a browser is none. Who stays logged in over days logs in once, so this is
--   not the number of people who came.
-- scope: group, user
-- needs: hooks
-- readers: user, share
-- people: users per of
-- hidden-from-shares: by=user, last
-- parameter: by = nothing (nothing, user) What a row is about.
-- column: hub text The hub.
-- column: of name The person; `all` without a choice; empty for attempts with names that the hub does not know.
-- column: users count People who logged in.
-- column: days count Days with a login.
-- column: logins count Logins that worked.
-- column: failed count Attempts that failed.
-- column: logouts count Logouts.
-- column: last time The last login.
-- caveat: A hub tells logins only with our hooks in its configuration; days before the first thing they told, and after the last, are not known and left out.
-- caveat: Failed attempts of nobody the hub knows are left out as soon as a group or a user is asked for.
-- chart: rows x=of y=logins,failed top=20
with told as (
    select hub, day, at, user, kind
    from period_events
    where kind in ('login', 'login-failed', 'logout')
),
days as (
    select hub, hooks_known,
        case $by when 'user' then user else 'all' end as of,
        -- What happened on a day that is not known is left out.
        case when hooks_known then kind end as kind,
        day, at, user
    from period_days left join told using (hub, day)
)
select hub, of,
    case when bool_or(hooks_known) then count(distinct case when kind = 'login' then user end) end as users,
    case when bool_or(hooks_known) then count(distinct case when kind = 'login' then day end) end as days,
    case when bool_or(hooks_known) then count(*) filter (where kind = 'login') end as logins,
    case when bool_or(hooks_known) then count(*) filter (where kind = 'login-failed') end as failed,
    case when bool_or(hooks_known) then count(*) filter (where kind = 'logout') end as logouts,
    max(at) filter (where kind = 'login') as last
from days
where $by = 'nothing' or kind is not null
group by hub, of
order by hub, logins desc, of
