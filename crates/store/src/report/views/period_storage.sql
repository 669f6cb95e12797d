select s.hub, s.day, s.day >= $from as in_period, s."user", s.home_bytes, s.files
from storage s
where s.day >= $first and s.day <= $to /*people s*/ /*members s*/
