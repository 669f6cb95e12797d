select s.hub, s."user", s."group", s.first_day, s.last_day, s.share, s.is_real
from member_spans s
where true /*people s*/ /*group s."group"*/
