select hub, day, sum(home_bytes) as home_bytes from period_storage group by hub, day
