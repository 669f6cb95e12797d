with next as (
  select day, "user", lead(day) over (partition by "user" order by day) as following from user_days
), steps as (
  select day as moment, 1 as step from next
  union all
  select least(coalesce(following, day + 30), day + 30), -1 from next
), per_day as (select cast(moment as date) as day, sum(step) as change from steps group by 1)
select day, sum(change) over (order by day) as users from per_day order by day
