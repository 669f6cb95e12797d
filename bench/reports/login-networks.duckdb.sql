-- The site has named no ranges.
select $hub as hub, case when address is null then 'unknown' else 'elsewhere' end as network, count(*) as logins, count(distinct "user") as users
from (select "user", detail ->> 'address' as address from events_all where kind = 'login' and "at" >= $starts and "at" < $ends)
group by all order by hub, logins desc, network
