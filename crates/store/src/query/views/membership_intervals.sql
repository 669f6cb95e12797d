-- At one instant `left` comes before `joined`, so that somebody who changed back stays a member;
-- the id makes the order total. A state that is told again (after a restart) changes nothing.
with ordered as (
    select hub, "user", "group", "at", not_before, change, reason, id,
           lag(change) over (
               partition by hub, "user", "group" order by "at", change desc, id
           ) as previous
    from memberships
),
changes as (
    select hub, "user", "group", "at", not_before, change,
           lead("at") over (
               partition by hub, "user", "group" order by "at", change desc, id
           ) as "left",
           lead(reason) over (
               partition by hub, "user", "group" order by "at", change desc, id
           ) as reason
    from ordered
    where previous is distinct from change
)
select hub, "user", "group", "at" as joined, not_before as joined_not_before, "left", reason
from changes
where change = 'joined'
