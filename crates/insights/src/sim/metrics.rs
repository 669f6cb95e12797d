//! The hub's own `/hub/metrics`: the families of JupyterHub 6.1 by their real names, with values
//! that follow the world where a dashboard would look, and constants elsewhere.

use super::world::World;
use jiff::SignedDuration;
use std::fmt::{self, Write};

/// Whatever the client accepts.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=1.0.0; charset=utf-8";

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
    /// Twenty in each second of the hub's life.
    Beats,
    Fixed(u64),
}

struct Histogram {
    /// Without the prefix.
    name: &'static str,
    help: &'static str,
    buckets: &'static [f64],
    /// How long most of the counted things took; see [`slow`].
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
        series: &[series("", Count::Beats)],
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
    let created = seconds(world.hub_started);
    write_process(text, world)?;
    write_gauges(text, world)?;
    for histogram in HISTOGRAMS {
        write_histogram(text, histogram, created, |count| match count {
            Count::Starts => world.n_starts,
            Count::Stops => world.n_stops,
            Count::Requests => n_requests,
            Count::Beats => n_beats(world),
            Count::Fixed(count) => count,
        })?;
    }
    write_csp_reports(text, created)
}

/// Since 1970, as Python writes it, to 10 milliseconds.
#[expect(clippy::cast_precision_loss, reason = "exact far beyond our time")]
fn seconds(time: jiff::Timestamp) -> f64 {
    (time.as_millisecond() / 10) as f64 / 100.0
}

fn n_beats(world: &World) -> u64 {
    let age = world.now.duration_since(world.hub_started);
    u64::try_from(age.as_millis() / 50).unwrap_or(0)
}

fn write_head(text: &mut String, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn write_process(text: &mut String, world: &World) -> fmt::Result {
    write_head(
        text,
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        "gauge",
    )?;
    writeln!(text, "process_resident_memory_bytes 1.35110656e+08")?;
    write_head(text, "process_start_time_seconds", START_TIME_HELP, "gauge")?;
    let started = seconds(world.hub_started);
    writeln!(text, "process_start_time_seconds {started:?}")?;
    let help = "Total user and system CPU time spent in seconds.";
    write_head(text, "process_cpu_seconds_total", help, "counter")?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a sum of seconds need not be exact"
    )]
    let cpu_seconds = 6.53 + n_beats(world) as f64 * 0.001;
    writeln!(text, "process_cpu_seconds_total {cpu_seconds:?}")
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
    created: f64,
    count_of: impl Fn(Count) -> u64,
) -> fmt::Result {
    let name = format!("jupyterhub_{}", histogram.name);
    write_head(text, &name, histogram.help, "histogram")?;
    for series in histogram.series {
        write_series(text, histogram, series.labels, count_of(series.count))?;
    }
    write_head(text, &format!("{name}_created"), histogram.help, "gauge")?;
    for Series { labels, .. } in histogram.series {
        writeln!(text, "{name}_created{} {created:?}", braced(labels))?;
    }
    Ok(())
}

fn write_series(text: &mut String, histogram: &Histogram, labels: &str, count: u64) -> fmt::Result {
    let name = format!("jupyterhub_{}", histogram.name);
    let comma = if labels.is_empty() { "" } else { "," };
    let slow = slow(count);
    for bucket in histogram.buckets {
        let in_time = |part: &&Slow| *bucket >= histogram.seconds * part.factor;
        let count: u64 = slow.iter().filter(in_time).map(|part| part.count).sum();
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
    let sum: f64 = slow
        .iter()
        .map(|part| part.count as f64 * part.factor * histogram.seconds)
        .sum();
    writeln!(text, "{name}_sum{} {sum:?}", braced(labels))
}

/// Some of the things that a histogram counts.
struct Slow {
    count: u64,
    /// How many times as long as usual each of them took.
    factor: f64,
}

/// Every fiftieth thing takes twice as long as usual, every thousandth ten times.
fn slow(count: u64) -> [Slow; 3] {
    let n_stalled = count / 1000;
    let n_slow = count / 50 - n_stalled;
    [
        (count - n_slow - n_stalled, 1.0),
        (n_slow, 2.0),
        (n_stalled, 10.0),
    ]
    .map(|(count, factor)| Slow { count, factor })
}

fn braced(labels: &str) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    }
}

fn write_csp_reports(text: &mut String, created: f64) -> fmt::Result {
    let help = "content security policy violation reports";
    write_head(text, "jupyterhub_csp_reports_total", help, "counter")?;
    writeln!(text, "jupyterhub_csp_reports_total 0.0")?;
    write_head(text, "jupyterhub_csp_reports_created", help, "gauge")?;
    writeln!(text, "jupyterhub_csp_reports_created {created:?}")
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
        let started: Timestamp = "2026-11-20T21:46:54.931Z".parse().unwrap();
        world.set_now(started);
        world.start_server("ada", "", started + SignedDuration::from_secs(100));
        let text = render(&world, 7);
        for line in [
            "jupyterhub_running_servers 1.0",
            "jupyterhub_total_users 2.0",
            "jupyterhub_active_users{period=\"24h\"} 1.0",
            "jupyterhub_server_spawn_duration_seconds_bucket{le=\"2.5\",reason=\"\",status=\"success\"} 0.0",
            "jupyterhub_server_spawn_duration_seconds_bucket{le=\"5.0\",reason=\"\",status=\"success\"} 1.0",
            "jupyterhub_server_spawn_duration_seconds_sum{reason=\"\",status=\"success\"} 4.0",
            "process_start_time_seconds 1795211214.93",
            "jupyterhub_event_loop_interval_seconds_bucket{le=\"0.05\"} 1960.0",
            "jupyterhub_event_loop_interval_seconds_bucket{le=\"0.1\"} 1998.0",
            "jupyterhub_event_loop_interval_seconds_bucket{le=\"+Inf\"} 2000.0",
            "jupyterhub_event_loop_interval_seconds_count 2000.0",
            "jupyterhub_server_stop_seconds_count{status=\"success\"} 0.0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }

    #[test]
    fn stops_are_counted_from_the_start_of_the_hub_and_crashes_are_not() {
        let mut world = World::empty();
        let n_stops = |world: &World| {
            let text = render(world, 0);
            let name = "jupyterhub_server_stop_seconds_count{status=\"success\"} ";
            let count = text.lines().find_map(|line| line.strip_prefix(name));
            count.unwrap().to_owned()
        };
        for user in ["ada", "grace", "emmy"] {
            world.add_user(user);
            world.start_server(user, "", Timestamp::UNIX_EPOCH);
        }
        assert!(world.stop_server("ada", ""));
        assert_eq!(n_stops(&world), "1.0");
        assert!(world.crash_server("grace", ""));
        assert_eq!(n_stops(&world), "1.0");
        assert!(world.remove_user("emmy"));
        assert_eq!(n_stops(&world), "2.0");
        world.restart_hub(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1));
        assert_eq!(n_stops(&world), "0.0");
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
        assert_eq!(types.len(), 3 + 3 + 2 * HISTOGRAMS.len() + 2);
    }
}
