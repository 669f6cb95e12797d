//! Is everything well: one check per thing that can go wrong, each with its reason and remedy.
//!
//! Checks look at what is known already and never ask the hub. They name nobody and no path, since
//! whoever may read metrics may read them.

mod optional;

pub use optional::{Missing, Present};

use crate::events::{Liveness, Sink, Source};
use crate::metrics::own::{Data, LastLogin, Own};
use crate::usage::{Condition, Usage};
use jiff::Timestamp;
use serde::Serialize;

/// Items of a batch that has to find room.
const ORDINARY_BATCH: usize = 1000;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// Something is missing, and the rest works.
    Warn,
    /// It does not work.
    Fail,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at, for instance `hub groups` or `events hooks`.
    pub name: String,
    /// What it came to.
    pub status: Status,
    /// Why, and what to do.
    pub reason: String,
    /// When what it says was last true: the last complete read, the last event.
    pub timestamp: Option<Timestamp>,
    /// Seconds that the last read took, where there was one.
    pub duration_seconds: Option<f64>,
}

/// All checks, in a fixed order.
pub fn all(own: &Own, sink: &Sink, usage: &Usage, now: Timestamp) -> Vec<Check> {
    let mut checks: Vec<Check> = Data::ALL.iter().map(|data| read(own, *data)).collect();
    checks.extend(own.last_login().map(login));
    checks.push(history(sink));
    checks.extend(usage.condition().iter().flat_map(of_usage));
    checks.extend(sources(&sink.sources().all(now)));
    checks
}

fn read(own: &Own, data: Data) -> Check {
    let timestamp = own.last_complete(data);
    let (status, reason) = match (own.last_error(data), timestamp) {
        (Some(error), _) => (
            Status::Fail,
            format!("the last read failed: {}", error.remedy),
        ),
        (None, None) => (Status::Warn, "not read yet".to_owned()),
        (None, Some(_)) => (Status::Ok, "the last read was complete".to_owned()),
    };
    Check {
        name: format!("hub {}", data.as_str()),
        status,
        reason,
        timestamp,
        duration_seconds: own
            .last_duration(data)
            .map(|duration| duration.as_secs_f64()),
    }
}

fn login(last: LastLogin) -> Check {
    let (status, reason) = match last.error {
        Some(error) => (Status::Fail, format!("nobody can log in: {}", error.remedy)),
        None => (Status::Ok, "the last login succeeded".to_owned()),
    };
    Check {
        name: "login".to_owned(),
        status,
        reason,
        timestamp: Some(last.at),
        duration_seconds: None,
    }
}

fn history(sink: &Sink) -> Check {
    let (status, reason) = match sink.check_room(ORDINARY_BATCH) {
        Ok(()) => (Status::Ok, "rows are taken".to_owned()),
        Err(error) => (Status::Warn, error.to_string()),
    };
    Check {
        name: "history".to_owned(),
        status,
        reason,
        timestamp: None,
        duration_seconds: None,
    }
}

/// The last look, the hours that closed, and whatever is missing.
fn of_usage(condition: &Condition) -> Vec<Check> {
    let source = condition.source;
    let check = |name: String, status, reason| Check {
        name,
        status,
        reason,
        timestamp: condition.last_complete,
        duration_seconds: Some(condition.duration.as_secs_f64()),
    };
    let (status, reason) = match (condition.error, condition.last_complete) {
        (Some(error), _) => (
            Status::Fail,
            format!("the last look failed ({}): {}", error.kind, error.remedy),
        ),
        (None, None) => (Status::Warn, "not looked yet".to_owned()),
        (None, Some(_)) => (Status::Ok, "the last look was complete".to_owned()),
    };
    let mut checks = vec![check(format!("usage {source}"), status, reason)];
    if let Some(error) = condition.hours_error {
        let reason = format!(
            "hours that closed are not written yet ({}): {}",
            error.kind, error.remedy
        );
        checks.push(check("usage closed hours".to_owned(), Status::Warn, reason));
    }
    let notes = condition.notes.iter();
    checks.extend(notes.map(|note| {
        let name = format!("usage {}", note.about);
        check(name, Status::Warn, note.text.clone())
    }));
    checks
}

/// What is really live is told from what arrived.
fn sources(sources: &[Source]) -> Vec<Check> {
    if sources.is_empty() {
        return vec![Check {
            name: "events".to_owned(),
            status: Status::Warn,
            reason: "no events yet: add `import jupyterhub_insights; \
                     jupyterhub_insights.configure(c)` to jupyterhub_config.py"
                .to_owned(),
            timestamp: None,
            duration_seconds: None,
        }];
    }
    sources.iter().map(source).collect()
}

fn source(source: &Source) -> Check {
    let state = &source.state;
    let kinds = state.kinds.iter();
    let kinds: Vec<String> = kinds
        .map(|(kind, at)| format!("{kind} at {at:.0}"))
        .collect();
    let mut heard = format!("{} items", state.n_items);
    if !kinds.is_empty() {
        heard = format!("{heard}; last of each kind: {}", kinds.join(", "));
    }
    let (status, reason) = match source.liveness {
        Liveness::Live => (Status::Ok, heard),
        Liveness::Silent => (
            Status::Warn,
            format!(
                "servers started and it did not tell: look at the hub's log for `jupyterhub_insights`, \
                 or at the file that is read; {heard}"
            ),
        ),
    };
    Check {
        name: format!("events {}", source.name),
        status,
        reason,
        timestamp: Some(state.last_arrived),
        duration_seconds: None,
    }
}
