-- What somebody did in a week, on those of its days that are read. Days without a session have activity or usage only.
select hub, "user", cast(date_trunc('week', day) as date) as week,
       count(*) filter (where sessions > 0) as days,
       count(active_seconds) filter (where sessions > 0) as told,
       sum(hours) filter (where sessions > 0) as hours,
       sum(active_seconds) filter (where sessions > 0) as active_seconds,
       max(day) filter (where active_seconds > 0) as last_active
from period_user_days
group by hub, "user", cast(date_trunc('week', day) as date)
