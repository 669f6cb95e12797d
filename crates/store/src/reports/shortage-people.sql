-- title: Who was affected by shortages
-- section: Resources
-- question: Who was there when processor time, memory or room for servers ran short, how often, and for how long?
-- definition: Shortages by the rule of the report `shortages`, added up for each person who was affected: who had a
--   running server at some moment of it, and by a shortage of slots also whose start failed then. `minutes` are those
--   of these shortages as a whole, also where the person was there for a part of them only. With `by=nothing` a row is
--   about everybody, and counts shortages by which nobody was affected, too. Two pools that are short at once are two
--   shortages. A shortage of a day whose sessions are not known counts for nobody.
-- scope: group, user
-- lead: 1 days
-- needs: sessions
-- readers: user
-- hidden-from-users: by=nothing
-- parameter: by = user (user, nothing) What a row is about.
-- column: hub text The hub.
-- column: of name The person; `all` with `by=nothing`.
-- column: what text `cpu`, `memory` or `slots`.
-- column: shortages count How often it was short.
-- column: minutes number How long it was short, all together.
-- column: users count People who were affected; empty if the sessions of a day of one of the shortages are not known.
-- column: last time When the last of these shortages ended.
-- caveat: From 60 days on readings are kept by the hour: a single short minute then makes the whole hour short.
-- caveat: Somebody was affected who was there; whether they noticed is not known.
-- caveat: A hub whose ceilings are not read has no rows, and neither has one that never ran short.
-- chart: rows x=of y=minutes series=what top=20
with each as (
    select hub, what, user, known, ended, minutes,
        case $by when 'user' then user else 'all' end as of,
        -- A shortage stands there once for each person.
        row_number() over (
            partition by hub, what, pool, started, case $by when 'user' then user end order by user
        ) = 1 as is_first
    from period_shortages
    where $by = 'nothing' or known and user is not null
)
select hub, of, what,
    count(*) filter (where is_first) as shortages,
    sum(minutes) filter (where is_first) as minutes,
    case when bool_and(known) then count(distinct user) end as users,
    max(ended) as last
from each
group by hub, of, what
order by hub, minutes desc, of, what
