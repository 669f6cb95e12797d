-- title: Logins by network
-- section: Activity
-- question: From which networks do people log in?
-- definition: Logins that worked, by the network of the address that they came from. Networks are the ranges of
--   addresses that the site has named in its configuration; nothing is looked up anywhere else. Of ranges that lie
--   within each other the narrowest counts. `elsewhere` are addresses in none of them; `unknown` are logins without an
--   address, since the hub does not record it, or since it was forgotten after the time that the configuration allows.
--   A person who logged in from several networks counts in each.
-- scope: group, user
-- needs: hooks
-- readers: user
-- column: hub text The hub.
-- column: network text Name of the network, `elsewhere` or `unknown`.
-- column: logins count Logins that worked.
-- column: users count People who logged in.
-- caveat: Addresses are recorded only if the hooks are told to, and are kept for 30 days unless the configuration says otherwise.
-- caveat: Where a proxy that the hub does not trust stands before the hub's own, every login seems to come from there.
-- chart: rows x=network y=logins
with logins as (
    select hub, user, json_get_str(detail, 'address') as address, count(*) as logins
    from period_events
    where kind = 'login'
    group by hub, user, json_get_str(detail, 'address')
),
-- Each address once, since it is compared with each range.
addresses as (
    select address, address_of(address) as place
    from logins
    group by address
),
-- Of ranges that lie within each other the narrowest begins last, or begins with the others and ends first.
places as (
    select address,
        case when place is null then 'unknown'
            else coalesce(first_value(network order by first desc, last, network), 'elsewhere')
        end as network
    from addresses left join networks on place between first and last
    group by address, place
)
select hub, coalesce(network, 'unknown') as network, sum(logins) as logins, count(distinct user) as users
from logins left join places using (address)
group by hub, coalesce(network, 'unknown')
order by hub, logins desc, network
