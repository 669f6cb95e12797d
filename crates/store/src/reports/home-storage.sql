-- title: Home storage
-- section: Resources
-- question: How large are the homes, and how fast do they grow?
-- definition: The sizes of all homes that were measured for a day in the hub's time zone, of several measurements the
--   last: their number, their sum, their median, the size that nine of ten do not exceed (between two homes in
--   proportion), and the largest. `growth_bytes` is the sum less that of the first day of the period on which a
--   home was measured, where it is 0. Days of which sizes of homes are not known are empty.
-- scope: group, user
-- needs: storage
-- readers: owner, user, share
-- people: users per day
-- hidden-from-shares: total_bytes, peak_bytes, growth_bytes
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: users count People whose home was measured.
-- column: total_bytes bytes All homes together.
-- column: median_bytes bytes The home in the middle: half of them are smaller.
-- column: p90_bytes bytes Nine of ten homes are at most this large.
-- column: peak_bytes bytes The largest home.
-- column: growth_bytes bytes What all homes together have grown by since the first day of the period on which one was measured.
-- caveat: A home that could not be measured on a day is missing from that day's sum, and homes of people who join or leave come and go with them.
-- chart: line x=day y=total_bytes
with homes as (
    select hub, day,
        count(*) as users,
        sum(home_bytes) as total_bytes,
        median(home_bytes) as median_bytes,
        percentile_cont(home_bytes, 0.9) as p90_bytes,
        max(home_bytes) as peak_bytes
    from period_storage
    group by hub, day
),
days as (
    select hub, day, total_bytes, median_bytes, p90_bytes, peak_bytes,
        case when storage_known then coalesce(users, 0) end as users
    from period_days left join homes using (hub, day)
)
select hub, day, users, total_bytes, median_bytes, p90_bytes, peak_bytes,
    total_bytes - first_value(total_bytes) ignore nulls over (partition by hub order by day) as growth_bytes
from days
order by hub, day
