select hub, "at", case kind when 'login-failed' then 'failed login' else kind end as what, "user"
from events_all where kind in ('login', 'login-failed', 'logout') and "at" >= $starts and "at" < $ends order by hub, "at", what, "user"
