-- title: Placeholders
-- section: Resources
-- question: Are as many places held free as people need who start at once?
-- definition: Placeholder pods hold places on nodes until a server needs one. `held` are those that run, `waiting` those
--   that wait for a node themselves, both as means over all readings of the day. `needed` is the largest number of
--   servers that started within any 10 minutes of the day in the hub's time zone, two that are exactly 10 minutes apart
--   included: with so many places held, and new nodes within 10 minutes, nobody would have waited. Days without readings
--   of pods are empty in `held` and `waiting`, days of which sessions are not known in `needed`. Where pods are read and
--   there is no placeholder, `held` is 0.
-- scope: none
-- needs: sessions
-- readers: none
-- column: hub text The hub.
-- column: day day Day in the hub's time zone.
-- column: held number Placeholder pods that run, on average.
-- column: waiting number Placeholder pods that wait for a node, on average.
-- column: needed count Most servers that started within 10 minutes.
-- caveat: Pods are read where usage comes from a Prometheus; on other hubs only `needed` is known.
-- caveat: Servers of accounts that are left out need no place here.
-- chart: line x=day y=held,waiting,needed
with readings as (
    -- A reading names the phases that some placeholder is in, so that none is no row: pods that find no node are counted
    -- in every reading.
    select hub, day,
        sum(coalesce(n, 1)) filter (where name = 'pods_unschedulable') as looks,
        sum(value * coalesce(n, 1)) filter (where json_get_str(labels, 'phase') = 'Running') as held,
        sum(value * coalesce(n, 1)) filter (where json_get_str(labels, 'phase') = 'Pending') as waiting
    from period_observations
    where name in ('pods_unschedulable', 'pods_placeholder')
    group by hub, day
),
days as (
    select hub, day, known, started_within_10_minutes as needed
    from period_days join period_peaks using (hub, day)
)
select hub, day,
    coalesce(held, 0) / looks as held,
    coalesce(waiting, 0) / looks as waiting,
    case when known then needed end as needed
from days left join readings using (hub, day)
order by hub, day
