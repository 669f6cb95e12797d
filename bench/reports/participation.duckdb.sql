with hubs as (
  select hub, bool_or(known and day >= since) as members_known from period_days, members_since group by hub
), members as (
  select hub, "group", count(distinct "user") as members from member_spans group by all
), participants as (
  select hub, "group", "user", count(*) as days, sum(hours) as hours, max(day) as last_day
  from period_started_days join period_days using (hub, day) join member_spans using (hub, "user")
  where known and day between first_day and member_spans.last_day group by all
), came as (
  select hub, "group", count(*) as participants, avg(days) as days, avg(hours) as hours, max(last_day) as last_day from participants group by all
)
select hub, "group", case when members_known then members end as members, case when members_known then coalesce(participants, 0) end as participants,
  case when members_known then coalesce(participants / members, 0) end as share, days as days_per_participant, hours as hours_per_participant, last_day
from members join hubs using (hub) left join came using (hub, "group") order by hub, "group"
