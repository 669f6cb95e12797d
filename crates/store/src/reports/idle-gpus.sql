-- title: Idle GPUs
-- section: Resources
-- question: Who holds GPUs and does not use them?
-- definition: For each person, the hours of the period in which a server of theirs had requested a GPU and in which it is
--   known how much of it was at work. An hour belongs to the day on which it begins in the hub's time zone. Idle is what
--   was requested less what was at work, over all of these hours together.
-- scope: group, user
-- needs: usage
-- readers: owner, user
-- column: hub text The hub.
-- column: user name The person.
-- column: gpu_hours gpu-hours GPUs requested: two GPUs for an hour are 2.
-- column: gpu_used_hours gpu-hours GPUs at work: an hour of a GPU that is half busy is 0.5.
-- column: idle_gpu_hours gpu-hours GPUs requested and not at work; never below 0.
-- column: used_share share Part of the requested time in which GPUs were at work; above 1 if a server used more than it had requested.
-- caveat: Hours of which it is not known whether GPUs were at work are left out, and so are servers that use GPUs without requesting any.
-- chart: rows x=user y=idle_gpu_hours top=20
with gpus as (
    select hub, user,
        sum(gpu_requested_seconds) / 3600 as gpu_hours,
        sum(gpu_used_seconds) / 3600 as gpu_used_hours
    from period_usage_sums
    where gpu_requested_seconds is not null
    group by hub, user
)
select hub, user, gpu_hours, gpu_used_hours,
    greatest(gpu_hours - gpu_used_hours, 0) as idle_gpu_hours,
    gpu_used_hours / gpu_hours as used_share
from gpus
order by hub, idle_gpu_hours desc, user
