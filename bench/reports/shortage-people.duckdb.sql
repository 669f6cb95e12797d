-- lead: 1 days
select hub, "user" as "of", what, count(*) as shortages, sum(minutes) as minutes, 1 as users, max(ended) as last
from period_shortages where known and "user" is not null group by all
order by hub, minutes desc, "of", what
