-- Users of the 30 days up to each day: a day and the next one of a user bound how long they count.
with next as (
  select day, "user", lead(day) over (partition by "user" order by day) as following from user_days
), steps as (
  select day as moment, 1 as step from next
  union all
  select case when following is null or following > day + interval '30 days'
              then day + interval '30 days' else following end, -1 from next
), per_day as (select cast(moment as date) as day, sum(step) as change from steps group by 1)
select day, sum(change) over (order by day) as users from per_day order by day
