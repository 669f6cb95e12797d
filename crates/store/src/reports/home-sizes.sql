-- title: Homes by size
-- section: Resources
-- question: Whose homes are largest, and whose grow?
-- definition: Of each home that was measured on a day of the period: its size on the first and on the last such day, the
--   last less the first as growth, and its largest size on any such day. Days are those of the hub's time zone; of
--   several measurements of a day the last one counts.
-- scope: group, user
-- needs: storage
-- readers: user
-- column: hub text The hub.
-- column: user name The person.
-- column: first_bytes bytes Size on the first day of the period on which the home was measured.
-- column: last_bytes bytes Size on the last such day.
-- column: growth_bytes bytes The last size less the first; negative if it has become smaller.
-- column: peak_bytes bytes Largest size on any day of the period.
-- column: last_day day The last day on which it was measured.
-- caveat: The home of somebody who has left keeps its last size; look at `last_day`.
-- chart: rows x=user y=last_bytes top=20
with homes as (
    select hub, user,
        first_value(home_bytes order by day) as first_bytes,
        last_value(home_bytes order by day) as last_bytes,
        max(home_bytes) as peak_bytes,
        max(day) as last_day
    from period_storage
    group by hub, user
)
select hub, user, first_bytes, last_bytes, last_bytes - first_bytes as growth_bytes, peak_bytes, last_day
from homes
order by hub, last_bytes desc, user
