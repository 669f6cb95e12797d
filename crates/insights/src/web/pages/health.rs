//! *Health*: every check, with what it means and what to do.

use super::frame::{Frame, html};
use super::view::{Badge, CheckRow, HealthPage, Link, Notice, Tone};
use crate::chart::Unit;
use crate::checks::{self, Check, Missing, Present, Status};
use crate::poll::clock::now;
use crate::web::Site;
use crate::web::visitor::Visitor;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

/// `GET checks`
pub(in crate::web) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "checks",
    };
    let checks = checks::all(&site.own, &site.sink, &site.usage, now());
    let prefix = &site.config.web.prefix;
    let page = HealthPage {
        layout: frame.layout("Health", "What is read and written, and how it goes."),
        overall: overall(&checks),
        checks: checks.into_iter().map(row).collect(),
        missing: missing(&site),
        links: vec![
            Link::new("Alive", format!("{prefix}health/live")),
            Link::new("Ready", format!("{prefix}health/ready")),
        ],
    };
    html(StatusCode::OK, &page)
}

/// Optional parts that are off.
fn missing(site: &Site) -> Vec<Missing> {
    let senders = site.sink.sources().all(now());
    let present = Present {
        config: &site.config,
        has_history: site.answers.is_some(),
        usage_source: site.usage.condition().map(|usage| usage.source),
        has_homes: site.usage.has_homes(),
        senders: &senders,
        has_owners: site.groups().iter().any(|group| {
            group
                .owners
                .as_deref()
                .is_some_and(|owners| !owners.is_empty())
        }),
    };
    present.missing()
}

fn overall(checks: &[Check]) -> Notice {
    let n_worse = |status: Status| checks.iter().filter(|check| check.status == status).count();
    let (n_failed, n_warned) = (n_worse(Status::Fail), n_worse(Status::Warn));
    match (n_failed, n_warned) {
        (0, 0) => Notice::new(Tone::Good, "All is well."),
        (0, 1) => Notice::new(Tone::Warning, "It works; one thing is missing."),
        (0, n) => Notice::new(Tone::Warning, format!("It works; {n} things are missing.")),
        (1, _) => Notice::new(Tone::Bad, "One thing does not work."),
        (n, _) => Notice::new(Tone::Bad, format!("{n} things do not work.")),
    }
}

/// How long a read took; nobody compares fractions of a millisecond.
fn in_words(seconds: f64) -> String {
    if seconds < 0.001 {
        "less than a millisecond".to_owned()
    } else {
        Unit::Seconds.format((seconds * 1000.0).round() / 1000.0)
    }
}

fn row(check: Check) -> CheckRow {
    let state = match check.status {
        Status::Ok => Badge::new(Tone::Good, "ok"),
        Status::Warn => Badge::new(Tone::Warning, "warning"),
        Status::Fail => Badge::new(Tone::Bad, "fails"),
    };
    CheckRow {
        name: check.name,
        state,
        reason: check.reason,
        duration: check.duration_seconds.map(in_words).unwrap_or_default(),
        at: check.timestamp,
    }
}
