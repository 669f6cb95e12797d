-- title: Logins by day
-- section: Activity
-- question: How many people log in, day by day, and how many attempts fail?
-- definition: `logins` are logins that worked, each counted: by form, by another service, by a header or automatic,
--   but not the use of a token. `users` are the people who logged in, each once a day. `failed` are attempts that did
--   not work, for whatever name. `logouts` are those that somebody asked for: closing a browser is none. Who stays
--   logged in over days logs in once, so this is not the number of people who came.
-- scope: group, user
-- needs: hooks
-- readers: user, share
-- people: users split by day
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: logins count Logins that worked.
-- column: users count People who logged in.
-- column: failed count Attempts that failed.
-- column: logouts count Logouts.
-- caveat: A hub tells logins only with our hooks in its configuration; days before the first thing they told, and after the last, are not known.
-- caveat: Failed attempts of nobody the hub knows are left out as soon as a group or a user is asked for.
-- chart: line x=day y=logins,users,failed
select hub, day,
    case when hooks_known then coalesce(logins, 0) end as logins,
    case when hooks_known then coalesce(users, 0) end as users,
    case when hooks_known then coalesce(failed, 0) end as failed,
    case when hooks_known then coalesce(logouts, 0) end as logouts
from period_days left join period_logins using (hub, day)
order by hub, day
