select hub, "user", server, started,
       greatest(date_part('epoch', now()) - date_part('epoch', started), 0.0) as seconds,
       active_seconds, active_by_hour, options, image, last_activity
from stored.running
