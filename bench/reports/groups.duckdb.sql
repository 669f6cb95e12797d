with hubs as (
  select period_days.hub, bool_or(known and day >= members_since.since) as members_known,
    bool_or(usage_days.day is not null) as usage_known,
    min(period_days.day) filter (where known and period_days.day >= members_since.since) as first_day, max(period_days.day) as last_day
  from period_days left join usage_days using (day), members_since group by period_days.hub
), covered as (
  -- Days without a group, of those who ever had one.
  select "user", first_day, last_day, max(last_day) over (partition by "user" order by first_day, last_day rows between unbounded preceding and 1 preceding) as before
  from member_spans
), free as (
  select "user", coalesce(before + 1, $from) as first_day, first_day - 1 as last_day from covered where coalesce(before + 1, $from) < first_day
  union all
  select "user", max(last_day) + 1, $to from covered group by "user" having max(last_day) < $to
), spans as (
  select "user", "group", first_day, last_day from member_spans
  union all select "user", 'none', first_day, last_day from free
  union all
  select "user", 'none', $from, $to from (select "user" from period_people union select "user" from memberships_all)
  where "user" not in (select "user" from member_spans)
), members as (
  select hubs.hub, "group", count(distinct spans."user") as members
  from spans join hubs on true left join period_people people on people."user" = spans."user"
  where greatest(spans.first_day, hubs.first_day) <= spans.last_day
    and ("group" <> 'none' or coalesce(added <= spans.last_day, true) and coalesce(removed >= greatest(spans.first_day, hubs.first_day), true))
  group by all
), started as (
  select hub, day, "user", count(*) as started from period_sessions group by all
), used as (
  select hub, day, "user", sum(sessions) as sessions, sum(hours) as hours, sum(active_seconds) as active_seconds,
    sum(cpu_core_seconds) as cpu_core_seconds, sum(memory_byte_seconds) as memory_byte_seconds, sum(gpu_seconds) as gpu_seconds, sum(started) as started
  from (
    select hub, day, "user", sessions, hours, active_seconds, null::double as cpu_core_seconds, null::double as memory_byte_seconds, null::double as gpu_seconds, null::bigint as started from person_days
    union all select hub, day, "user", 0, 0, null, cpu_core_seconds, memory_byte_seconds, gpu_seconds, null from used_days
    union all select hub, day, "user", 0, 0, null, null, null, null, started from started where day >= $from
  )
  group by hub, day, "user"
), people as (
  select used.hub, coalesce("group", 'none') as "group", used."user", bool_or(sessions > 0) as came, sum(started) as sessions, sum(hours) as hours,
    sum(active_seconds) as active_seconds, sum(cpu_core_seconds) as cpu_core_seconds, sum(memory_byte_seconds) as memory_byte_seconds,
    sum(gpu_seconds) as gpu_seconds
  from used join period_days days using (hub, day) join members_since on known and day >= since
    left join member_spans spans on spans."user" = used."user" and day between spans.first_day and spans.last_day
  group by all
), did as (
  select hub, "group", count(*) filter (where came) as participants, sum(sessions) as sessions, sum(hours) as hours,
    sum(active_seconds) / 3600 as active_hours, sum(cpu_core_seconds) / 3600 as cpu_core_hours,
    sum(memory_byte_seconds) / 3600 / power(2, 30) as memory_gib_hours, sum(gpu_seconds) / 3600 as gpu_hours
  from people group by all
)
select hub, "group", case when members_known then members end as members,
  case when members_known then coalesce(participants, 0) end as participants,
  case when members_known then coalesce(participants, 0) / members end as participation,
  case when members_known then coalesce(sessions, 0) end as sessions, case when members_known then coalesce(hours, 0) end as hours,
  case when members_known and coalesce(participants, 0) = 0 then 0 else active_hours end as active_hours,
  case when usage_known and did."group" is null then 0 else cpu_core_hours end as cpu_core_hours,
  case when usage_known and did."group" is null then 0 else memory_gib_hours end as memory_gib_hours,
  case when usage_known and did."group" is null then 0 else gpu_hours end as gpu_hours
from members full join did using (hub, "group") join hubs using (hub) order by hub, "group"
