with launches as (
  select $hub as hub, "at", detail ->> 'provider' as provider, detail ->> 'spec' as spec, detail ->> 'status' as status
  from events_all where kind = 'binder-launch' and "at" >= $starts and "at" < $ends
), named as (
  select hub, "at", status, provider || '/' || case
      when provider in ('GitHub', 'Gist') then split_part(spec, '/', 1) || '/' || split_part(spec, '/', 2)
      when provider in ('GitLab', 'Git') then split_part(spec, '/', 1)
      else spec end as "of"
  from launches
)
select hub, coalesce("of", '(unknown)') as "of", count("at") as launches,
  case when count(status) > 0 then count(*) filter (where status = 'success') end as succeeded, max("at") as last
from named group by all order by hub, launches desc, "of"
