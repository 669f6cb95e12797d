//! `docs/metrics.md`, made from the two tables of families.

use super::active_users;
use super::counted::COUNTED;
use super::exposition::Kind;
use super::families::FAMILIES;
use super::live::LIVE;
use super::own::OWN_FAMILIES;
use super::usage::USAGE;
use std::fmt::Write as _;

const HEAD: &str = "\
# Metrics

Served as Prometheus text 0.0.4 or OpenMetrics 1.0 by `Accept`, with or without gzip, at the service
prefix and at `metrics` below it. This page is made by `jupyterhub-insights docs metrics`.

## About the hub

The prefix `jupyterhub` is `metrics.prefix`. Groups that `groups.allowed` and `groups.denied` leave
out appear in none of these, nor does a user who is in no allowed group.
";

const ACTIVE_USERS_HEAD: &str = "
### The query of `insights_active_users`

For `jupyterhub-insights sql`, too: `started` counts users whose server ran at any moment of the
period, `active` those of whom the hub recorded any activity in it.

";

const USAGE_HEAD: &str = "
## What servers use

Where usage is read ([usage.md](usage.md)); else there are none of these. A measure that the source does
not give has no samples: unknown is not 0. `usage.per_user = false` leaves out the rows by user
(`user_group_…`), which are a series for each membership of a user with a server or a home.
";

const COUNTED_HEAD: &str = "
## Counted over restarts

These go on counting when the hub or this service is restarted, never go down, and are kept in the
history's folder; without a history there are none. None of them has a name that the hub exports, so
that scraping both counts nothing twice.

Logins and spawns have exactly one source for each run of the hub's process: the hooks, if that
process said that it has them, else the hub's own histograms, once it was seen for two minutes without
saying so. What happened before this service first saw a hub is not counted, nor what is imported.

Each has at most `metrics.series` combinations of labels. Beyond that, values are called `other`; what
is known keeps counting. Values longer than 100 bytes are called `other`, too. Users are `anonymous`
unless `metrics.users` is set; names that a custom metric brings are shown as they were sent.
Erasing a person gives what was counted to `anonymous`, and removes their gauges.
";

const CUSTOM_HEAD: &str = "
### Custom metrics

Whoever may send events may count: an event, the value of a resource, the duration of an operation, as
one JSON object, an array, or one object per line, with or without gzip.

```sh
send() { curl -fsS -H \"Authorization: Bearer $TOKEN\" --data-binary \"$2\" $INSIGHTS/api/v1/metrics/$1; }
send counter '{\"event_type\": \"export\", \"user\": \"ada\", \"amount\": 2}'
send gauge   '{\"resource_type\": \"licences\", \"value\": 12}'
send timing  '{\"operation\": \"backup\", \"status\": \"error\", \"seconds\": 31.5}'
```

`user` is `anonymous` for events and `system` for resources where it is left out, `amount` 1, `status`
`success`. The answer `{\"accepted\": 1, \"rejected\": []}` comes when it is on the disk; each rejected item
has its `index` and a `reason`. A request with a header `Idempotency-Key` that is sent again within a
day counts once. `metrics.custom_allowed` says which names are taken; `user_login`, `server_spawn_start`,
`server_spawn_success` and `server_spawn_failure` are counted by themselves and refused. A request has
at most 10,000 items, a name or user 100 bytes and no control characters, an amount is above 0 and at
most 1e15, a key up to 200 ASCII characters; other keys of an item are refused. Refusals are those of
[events.md](events.md).
";

const OWN_HEAD: &str = "
## About ourselves

These name nobody. `hub` is `hub.name`.
";

/// The page, as Markdown.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let hub = |name: &str| format!("jupyterhub_{name}");
    for it in FAMILIES {
        write_family(
            &mut page,
            &hub(it.name),
            it.kind,
            it.labels,
            it.help,
            it.from,
        );
    }
    for it in LIVE {
        write_family(
            &mut page,
            &hub(it.name),
            it.kind,
            it.labels,
            it.help,
            it.from,
        );
    }
    let _ = writeln!(page, "{ACTIVE_USERS_HEAD}```sql\n{}```", active_users::SQL);
    page.push_str(USAGE_HEAD);
    for it in USAGE {
        write_family(
            &mut page,
            &hub(it.name),
            it.kind,
            it.labels,
            it.help,
            it.from,
        );
    }
    page.push_str(COUNTED_HEAD);
    for it in COUNTED {
        let def = &it.def;
        write_family(
            &mut page,
            &hub(def.name),
            it.kind(),
            def.labels,
            it.help,
            it.from,
        );
        let bounds: Vec<String> = def.bounds().iter().map(ToString::to_string).collect();
        if !bounds.is_empty() {
            let _ = writeln!(page, "\nBuckets: {} s.", bounds.join(", "));
        }
    }
    page.push_str(CUSTOM_HEAD);
    page.push_str(OWN_HEAD);
    for it in OWN_FAMILIES {
        write_family(&mut page, it.name, it.kind, it.labels, it.help, it.from);
    }
    page
}

fn write_family(
    page: &mut String,
    name: &str,
    kind: Kind,
    labels: &[&str],
    help: &str,
    from: &str,
) {
    let kind = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter | Kind::CounterBesideGauge => "counter",
        Kind::Info => "info (gauge in the text format)",
        Kind::Histogram => "histogram",
    };
    let _ = writeln!(page, "\n### `{name}`\n\n{help}\n");
    let labels = match labels {
        [] => "no labels".to_owned(),
        labels => format!("labels `{}`", labels.join("`, `")),
    };
    let _ = writeln!(page, "{kind} · {labels} · from: {from}");
}
