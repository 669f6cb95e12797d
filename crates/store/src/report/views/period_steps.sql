-- Moments at which servers and the people of whom one runs become more or fewer: +1, -1 or 0 of each.
-- Sessions without length change nothing.
select s.hub,
       case k.kind when 'start' then s.started when 'end' then s.until else s.covered end as moment,
       case k.kind when 'start' then 1 when 'end' then -1 else 0 end as servers,
       case
           when k.kind = 'start' and s.started < s.covered then 0
           when k.kind = 'end' and s.until <= s.covered then 0
           when k.kind = 'end' then -1
           else 1
       end as users
from (values ('start'), ('end'), ('goes on')) as k (kind)
    cross join (
        -- Until when the sessions of the same person that began earlier ran: a person counts only once.
        select hub, started, until, max(until) over earlier as covered
        from period_sessions
        where started < until
        window earlier as (
            partition by hub, "user" order by started rows between unbounded preceding and 1 preceding
        )
    ) s
where k.kind <> 'goes on' or (s.started < s.covered and s.covered < s.until)
