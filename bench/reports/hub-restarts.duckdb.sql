-- lead: 7 days
with read as (
  select started, max("at") as last_read
  from (
    select case process when 'older' then coalesce(min, value) else coalesce(max, value) end as started, "at"
    from observations_all, (values ('older'), ('newer')) as processes (process)
    where name = 'process_start_time_seconds' and "at" >= $starts and "at" < $ends
  )
  group by started
), signs as (
  select make_timestamptz(cast(round(started * 1e6) as bigint)) as "at", 1 as sign, lag(last_read) over (order by started) as not_before from read
  union all
  select cast(detail ->> 'hub_restarted' as timestamptz), 2, min(not_before)
  from events_all where kind = 'server-gone' and "at" >= $starts and "at" < $ends and detail ->> 'hub_restarted' is not null
  group by 1
  union all
  select "at", 3, null from events_all where kind = 'hub-started' and source = 'hooks' and "at" >= $starts and "at" < $ends
), numbered as (
  select *, sum(is_new) over (order by "at", sign rows unbounded preceding) as process
  from (
    select *, case when sign > lag(sign) over so_far and epoch_us("at") - epoch_us(lag("at") over so_far) <= 120000000 then 0 else 1 end as is_new
    from signs window so_far as (order by "at", sign)
  )
), restarts as (
  select *, lag("at") over (order by "at") as at_before
  from (
    select greatest(min("at"), max(not_before)) as "at", max(not_before) as not_before,
      case when min(sign) = 3 then 'told' when max(sign) = 3 then 'seen and told' else 'seen' end as how
    from numbered group by process
  )
)
select $hub as hub, r."at", r.not_before, r.how, count(s."user") as sessions_ended
from restarts r left join period_sessions s on s.end_reason = 'hub restart'
  and s.ended >= coalesce(r.not_before, r."at") - interval 10 minute and s.ended <= r."at" + interval 10 minute
  and (r.at_before is null or s.ended > r.at_before + interval 10 minute)
where day_of(r."at") >= $from group by all order by hub, r."at"
