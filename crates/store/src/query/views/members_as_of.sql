-- Who was in which group of a hub at a moment. An interval holds its first moment, not its last.
select "user", "group", joined as since, joined_not_before as since_not_before
from membership_intervals
where hub = $hub and joined <= $moment and ("left" is null or "left" > $moment)
order by "group", "user"
