-- Everybody the history knows of up to the end of the period. An account is new on the day it was
-- first seen, if the hub was looked at before without it.
with ends as (
    -- Of each hub its own: days end at different moments.
    select hub, max(ends) as ends from period_days group by hub
),
accounts as (
    select s.hub, s."user",
           min(s."at") filter (where s.kind = 'user-added') as added_at,
           min(s."at") filter (where s.kind = 'user-added' and s.not_before is null) as old_at,
           max(s."at") filter (where s.kind = 'user-added') as last_added_at,
           max(s."at") filter (where s.kind = 'user-removed') as removed_at
    from ends e join events s on s.hub = e.hub
    where s.kind in ('user-added', 'user-removed') and s.source = 'poll' and s."at" < e.ends
        /*people s*/
    group by s.hub, s."user"
),
ran as (
    select s.hub, s."user", min(s.started) as first_started, max(s.started) as last_started,
           max(least(s.until, e.ends)) as last_seen,
           bool_or(s.is_running or s.until >= e.ends) as is_running
    from ends e join ran_sessions s on s.hub = e.hub
    where s.started < e.ends /*people s*/
    group by s.hub, s."user"
),
everybody as (
    select coalesce(a.hub, r.hub) as hub, coalesce(a."user", r."user") as "user",
           a.added_at, a.old_at, a.last_added_at, a.removed_at, r.first_started, r.last_started,
           r.last_seen, coalesce(r.is_running, false) as is_running
    from accounts a full join ran r on a.hub = r.hub and a."user" = r."user"
)
select d.hub, d."user",
       case when d.old_at is null or d.old_at > d.added_at then day_of(d.hub, d.added_at) end
           as added,
       d.added_at is not null and (d.old_at is null or d.old_at > d.added_at) as is_new_known,
       d.added_at is not null as has_account,
       case when d.removed_at >= d.last_added_at then day_of(d.hub, d.removed_at) end as removed,
       d.first_started, d.last_started, d.last_seen, d.is_running
from everybody d
where true /*ever d*/
