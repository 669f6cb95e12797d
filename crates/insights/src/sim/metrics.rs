//! The hub's own `/hub/metrics`: the families of JupyterHub 6.1 by their real names, with values
//! that follow the world where a dashboard would look, and constants elsewhere.

use super::world::World;
use jiff::SignedDuration;
use std::fmt::{self, Write};

/// Whatever the client accepts.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=1.0.0; charset=utf-8";

/// When all series began; nobody restarts a simulated hub.
const CREATED: &str = "1.79521121746e+09";

const SHORT: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const SPAWN: &[f64] = &[
    0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0,
];
const EVENT_LOOP: &[f64] = &[
    0.05, 0.055, 0.06, 0.065, 0.07, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// What a histogram counts.
#[derive(Clone, Copy)]
enum Count {
    Starts,
    Stops,
    Requests,
    Fixed(u64),
}

struct Histogram {
    /// Without the prefix.
    name: &'static str,
    help: &'static str,
    buckets: &'static [f64],
    /// How long each of the counted things took.
    seconds: f64,
    series: &'static [Series],
}

struct Series {
    labels: &'static str,
    count: Count,
}

const fn series(labels: &'static str, count: Count) -> Series {
    Series { labels, count }
}

const HISTOGRAMS: &[Histogram] = &[
    Histogram {
        name: "request_duration_seconds",
        help: "Request duration for all HTTP requests",
        buckets: SHORT,
        seconds: 0.004,
        series: &[series(
            r#"code="200",handler="jupyterhub.apihandlers.users.UserListAPIHandler",method="GET""#,
            Count::Requests,
        )],
    },
    Histogram {
        name: "server_spawn_duration_seconds",
        help: "Time taken for server spawning operation",
        buckets: SPAWN,
        seconds: 4.0,
        series: &[
            series(r#"reason="",status="success""#, Count::Starts),
            series(r#"reason="",status="failure""#, Count::Fixed(0)),
            series(r#"reason="",status="error""#, Count::Fixed(0)),
            series(r#"reason="throttled",status="failure""#, Count::Fixed(0)),
            series(
                r#"reason="too-many-users",status="failure""#,
                Count::Fixed(0),
            ),
            series(
                r#"reason="already-pending",status="failure""#,
                Count::Fixed(0),
            ),
        ],
    },
    Histogram {
        name: "check_routes_duration_seconds",
        help: "Time taken to validate all routes in proxy",
        buckets: SHORT,
        seconds: 0.002,
        series: &[series("", Count::Fixed(7))],
    },
    Histogram {
        name: "hub_startup_duration_seconds",
        help: "Time taken for Hub to start",
        buckets: SHORT,
        seconds: 4.0,
        series: &[series("", Count::Fixed(1))],
    },
    Histogram {
        name: "init_spawners_duration_seconds",
        help: "Time taken for spawners to initialize",
        buckets: SHORT,
        seconds: 0.01,
        series: &[series("", Count::Fixed(1))],
    },
    Histogram {
        name: "proxy_poll_duration_seconds",
        help: "Duration for polling all routes from proxy",
        buckets: SHORT,
        seconds: 0.005,
        series: &[series("", Count::Fixed(8))],
    },
    Histogram {
        name: "login_duration_seconds",
        help: "duration for all authentication attempts",
        buckets: SHORT,
        seconds: 0.03,
        series: &[
            series(r#"status="LoginStatus.success""#, Count::Starts),
            series(r#"status="LoginStatus.failure""#, Count::Fixed(4)),
        ],
    },
    Histogram {
        name: "logout_duration_seconds",
        help: "duration for all logout requests",
        buckets: SHORT,
        seconds: 0.02,
        series: &[series("", Count::Stops)],
    },
    Histogram {
        name: "proxy_add_duration_seconds",
        help: "Duration for adding user routes to proxy",
        buckets: SHORT,
        seconds: 0.004,
        series: &[
            series(r#"status="success""#, Count::Starts),
            series(r#"status="failure""#, Count::Fixed(0)),
        ],
    },
    Histogram {
        name: "server_poll_duration_seconds",
        help: "Time taken to poll if server is running",
        buckets: SHORT,
        seconds: 0.001,
        series: &[
            series(r#"status="ServerPollStatus.running""#, Count::Starts),
            series(r#"status="ServerPollStatus.stopped""#, Count::Fixed(0)),
        ],
    },
    Histogram {
        name: "server_stop_seconds",
        help: "Time taken for server stopping operation",
        buckets: SHORT,
        seconds: 0.2,
        series: &[
            series(r#"status="success""#, Count::Stops),
            series(r#"status="failure""#, Count::Fixed(0)),
        ],
    },
    Histogram {
        name: "proxy_delete_duration_seconds",
        help: "Duration for deleting user routes from proxy",
        buckets: SHORT,
        seconds: 0.004,
        series: &[
            series(r#"status="success""#, Count::Stops),
            series(r#"status="failure""#, Count::Fixed(0)),
        ],
    },
    Histogram {
        name: "event_loop_interval_seconds",
        help: "Distribution of measured event loop intervals",
        buckets: EVENT_LOOP,
        seconds: 0.05,
        series: &[series("", Count::Fixed(2679))],
    },
];

/// The exposition text.
pub(super) fn render(world: &World, n_requests: u64) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = write_all(&mut text, world, n_requests);
    text
}

fn write_all(text: &mut String, world: &World, n_requests: u64) -> fmt::Result {
    write_process(text)?;
    write_gauges(text, world)?;
    for histogram in HISTOGRAMS {
        write_histogram(text, histogram, |count| match count {
            Count::Starts => world.n_starts,
            Count::Stops => world.n_stops,
            Count::Requests => n_requests,
            Count::Fixed(count) => count,
        })?;
    }
    write_csp_reports(text)
}

fn write_head(text: &mut String, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn write_process(text: &mut String) -> fmt::Result {
    write_head(text, "process_start_time_seconds", START_TIME_HELP, "gauge")?;
    writeln!(text, "process_start_time_seconds {CREATED}")?;
    let help = "Total user and system CPU time spent in seconds.";
    write_head(text, "process_cpu_seconds_total", help, "counter")?;
    writeln!(text, "process_cpu_seconds_total 6.53")
}

const START_TIME_HELP: &str = "Start time of the process since unix epoch in seconds.";

fn write_gauges(text: &mut String, world: &World) -> fmt::Result {
    let n_servers: usize = world.users().iter().map(|user| user.servers.len()).sum();
    let help = "The number of user servers currently running";
    write_head(text, "jupyterhub_running_servers", help, "gauge")?;
    writeln!(text, "jupyterhub_running_servers {n_servers}.0")?;
    write_head(
        text,
        "jupyterhub_total_users",
        "Total number of users",
        "gauge",
    )?;
    writeln!(text, "jupyterhub_total_users {}.0", world.users().len())?;
    let help = "Number of users who were active in the given time period";
    write_head(text, "jupyterhub_active_users", help, "gauge")?;
    for (period, days) in [("24h", 1), ("7d", 7), ("30d", 30)] {
        let n_users = n_seen_within(world, SignedDuration::from_hours(24 * days));
        writeln!(
            text,
            "jupyterhub_active_users{{period=\"{period}\"}} {n_users}.0"
        )?;
    }
    Ok(())
}

fn n_seen_within(world: &World, period: SignedDuration) -> usize {
    let begin = world
        .now
        .checked_sub(period)
        .unwrap_or(jiff::Timestamp::MIN);
    world
        .users()
        .iter()
        .filter(|user| user.last_activity >= Some(begin))
        .count()
}

fn write_histogram(
    text: &mut String,
    histogram: &Histogram,
    count_of: impl Fn(Count) -> u64,
) -> fmt::Result {
    let name = format!("jupyterhub_{}", histogram.name);
    write_head(text, &name, histogram.help, "histogram")?;
    for series in histogram.series {
        write_series(text, histogram, series.labels, count_of(series.count))?;
    }
    write_head(text, &format!("{name}_created"), histogram.help, "gauge")?;
    for Series { labels, .. } in histogram.series {
        writeln!(text, "{name}_created{} {CREATED}", braced(labels))?;
    }
    Ok(())
}

fn write_series(text: &mut String, histogram: &Histogram, labels: &str, count: u64) -> fmt::Result {
    let name = format!("jupyterhub_{}", histogram.name);
    let comma = if labels.is_empty() { "" } else { "," };
    for bucket in histogram.buckets {
        let count = if *bucket >= histogram.seconds {
            count
        } else {
            0
        };
        writeln!(
            text,
            "{name}_bucket{{le=\"{bucket:?}\"{comma}{labels}}} {count}.0"
        )?;
    }
    writeln!(
        text,
        "{name}_bucket{{le=\"+Inf\"{comma}{labels}}} {count}.0"
    )?;
    writeln!(text, "{name}_count{} {count}.0", braced(labels))?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a sum of seconds need not be exact"
    )]
    let sum = count as f64 * histogram.seconds;
    writeln!(text, "{name}_sum{} {sum:?}", braced(labels))
}

fn braced(labels: &str) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    }
}

fn write_csp_reports(text: &mut String) -> fmt::Result {
    let help = "content security policy violation reports";
    write_head(text, "jupyterhub_csp_reports_total", help, "counter")?;
    writeln!(text, "jupyterhub_csp_reports_total 0.0")?;
    write_head(text, "jupyterhub_csp_reports_created", help, "gauge")?;
    writeln!(text, "jupyterhub_csp_reports_created {CREATED}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn gauges_and_counts_follow_the_world() {
        let mut world = World::empty();
        world.add_user("ada");
        world.add_user("grace");
        world.start_server("ada", "", Timestamp::UNIX_EPOCH);
        let text = render(&world, 7);
        for line in [
            "jupyterhub_running_servers 1.0",
            "jupyterhub_total_users 2.0",
            "jupyterhub_active_users{period=\"24h\"} 1.0",
            "jupyterhub_server_spawn_duration_seconds_bucket{le=\"2.5\",reason=\"\",status=\"success\"} 0.0",
            "jupyterhub_server_spawn_duration_seconds_bucket{le=\"5.0\",reason=\"\",status=\"success\"} 1.0",
            "jupyterhub_server_spawn_duration_seconds_sum{reason=\"\",status=\"success\"} 4.0",
            "jupyterhub_event_loop_interval_seconds_count 2679.0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }

    #[test]
    fn every_family_stands_once_with_its_type() {
        let text = render(&World::empty(), 0);
        let types: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .collect();
        let mut unique = types.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(types.len(), unique.len());
        assert_eq!(types.len(), 2 + 3 + 2 * HISTOGRAMS.len() + 2);
    }
}
