select hub, "user", "group", joined as since, joined_not_before as since_not_before
from membership_intervals
where "left" is null
