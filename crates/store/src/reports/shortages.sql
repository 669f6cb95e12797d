-- title: Shortages
-- section: Resources
-- question: How often, when and how long did the hub run out of processor time, memory or room for servers, and who was affected?
-- definition: A reading of the ceilings stands for the minute before it; one of a day so long ago that only hours are
--   kept stands for its hour and tells its worst moment: the largest use, set against the largest capacity. `cpu` is
--   short in a reading if at least 95 % of the capacity of the machine or pool of nodes is used, or at least 98 % of
--   what the pool's nodes can give to pods is requested. `memory` is short by the same rule, and also if the kernel of
--   the machine killed a process for want of memory since the reading before. `slots` are short if a pod of a user
--   found no node (`cluster`), or if the hub refused a start since the reading before because too many servers ran or
--   too many were starting (`hub`); refusals that it does not tell yet are none. Short readings with no more than 90
--   seconds between them (90 minutes for readings by the hour) are one shortage, so that a single reading that was
--   better or is missing does not cut it; `minutes` are those of its short readings alone. Affected is who had a
--   running server at some moment from its start to its end; by a shortage of slots also whose start failed then, where
--   the hub's hooks tell it. A pod that is killed at its own limit is no shortage of the hub.
-- scope: group, user
-- lead: 1 days
-- needs: sessions
-- readers: share
-- people: users per what, pool, started, ended
-- column: hub text The hub.
-- column: what text `cpu`, `memory` or `slots`.
-- column: pool text `machine`, or the pool of nodes; of slots `cluster` or `hub`.
-- column: started time When it began, to the minute or to the hour.
-- column: ended time When it ended.
-- column: minutes number How long it was short in between.
-- column: worst share Largest share that was used, or requested, in the short readings; empty for slots.
-- column: users count People who were affected; empty if the sessions of one of its days are not known.
-- caveat: From 60 days on readings are kept by the hour: a single short minute then makes the whole hour short, but one of a pool that grew or shrank within the hour may be missed.
-- caveat: Somebody was affected who was there; whether they noticed is not known.
-- caveat: A hub whose ceilings are not read has no rows, and neither has one that never ran short.
select hub, what, pool, started, ended, minutes, worst,
    case when known then count(distinct user) end as users
from period_shortages
group by hub, what, pool, started, ended, minutes, worst, known
order by hub, started, what, pool
