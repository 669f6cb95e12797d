-- Moments at which servers and the people of whom one runs become more or fewer: +1, -1 or 0 of each.
-- Sessions without length change nothing.
select s.hub,
       case k.step when 1 then s.started when -1 then s.until else s.covered end as moment,
       k.step as servers,
       case
           when k.step = 1 and s.started < s.covered then 0
           when k.step = -1 and s.until <= s.covered then 0
           when k.step = -1 then -1
           else 1
       end as users
-- It starts, it ends, and between another server of the same person ends: they go on.
from (values (1), (-1), (0)) as k (step)
    cross join (
        -- Until when the sessions of the same person that began earlier ran: a person counts only once.
        select hub, started, until, max(until) over earlier as covered
        from period_sessions
        where started < until
        window earlier as (
            partition by hub, "user" order by started rows between unbounded preceding and 1 preceding
        )
    ) s
where k.step <> 0 or (s.started < s.covered and s.covered < s.until)
