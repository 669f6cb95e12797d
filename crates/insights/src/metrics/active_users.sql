-- `$hub` is `hub.name`. Of each user the last moment at which a server of theirs ran, and the last at
-- which the hub recorded something they did: a login, a start, a stop, traffic of a running server.
-- What a server that ended did before is not dated: if it was used at all, its end counts.
with lasts as (
    select 'started' as definition, "user", coalesce(ended, now()) as last
    from all_sessions
    where hub = $hub and (ended is null or ended > now() - interval '30 days')
    union all
    select 'active', "user",
           case when end_reason = 'stopped' or active_seconds > 0 then ended else started end
    from sessions
    where hub = $hub and ended > now() - interval '30 days'
    union all
    select 'active', "user", greatest(started, coalesce(last_activity, started))
    from running_sessions
    where hub = $hub
    union all
    select 'active', "user", "at"
    from events
    where hub = $hub and kind = 'login' and "at" > now() - interval '30 days'
),
users as (
    select definition, "user", max(last) as last from lasts group by definition, "user"
)
select d.definition,
       count(u."user") filter (where u.last > now() - interval '24 hours') as "24h",
       count(u."user") filter (where u.last > now() - interval '7 days') as "7d",
       count(u."user") filter (where u.last > now() - interval '30 days') as "30d"
from (values ('active'), ('started')) as d (definition)
left join users u on u.definition = d.definition
group by d.definition
order by d.definition
