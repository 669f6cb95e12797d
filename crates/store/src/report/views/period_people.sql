-- Everybody the history knows of up to the end of the period. An account is new on the day it was
-- first seen, if the hub was looked at before without it. `ran_before` and `accounts_before` are of the
-- rows before `$people_since`, which is no later than the end of the period at any hub (`people.rs`).
with ends as (
    -- Of each hub its own: days end at different moments.
    select hub, max(ends) as ends from period_days group by hub
),
accounts as (
    select hub, "user", min(added_at) as added_at, min(old_at) as old_at,
           max(last_added_at) as last_added_at, max(removed_at) as removed_at
    from (
        select s.hub, s."user",
               case when s.kind = 'user-added' then s."at" end as added_at,
               case when s.kind = 'user-added' and s.not_before is null then s."at" end as old_at,
               case when s.kind = 'user-added' then s."at" end as last_added_at,
               case when s.kind = 'user-removed' then s."at" end as removed_at
        from ends e join events s on s.hub = e.hub
        where s.kind in ('user-added', 'user-removed') and s.source = 'poll'
            and s."at" >= $people_since and s."at" < e.ends
            /*people s*/
        union all
        select s.hub, s."user", s.added_at, s.old_at, s.last_added_at, s.removed_at
        from ends e join accounts_before s on s.hub = e.hub
        where true /*people s*/
    )
    group by hub, "user"
),
ran as (
    select hub, "user", min(first_started) as first_started, max(last_started) as last_started,
           max(last_seen) as last_seen, bool_or(is_running) as is_running
    from (
        select s.hub, s."user", s.started as first_started, s.started as last_started,
               least(s.until, e.ends) as last_seen, s.is_running or s.until >= e.ends as is_running
        from ends e join ran_sessions s on s.hub = e.hub
        where s.started < e.ends and (s.started >= $people_since or s.ended is null) /*people s*/
        union all
        select s.hub, s."user", s.first_started, s.last_started, least(s.last_until, e.ends),
               s.last_until >= e.ends
        from ends e join ran_before s on s.hub = e.hub
        where true /*people s*/
    )
    group by hub, "user"
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
