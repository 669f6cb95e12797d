//! Derived values as rows of their tables, with ids that say whose they are.

use crate::tables::{self, RowId};
use jiff::Timestamp;
use jiff::civil::Date;
use model::days::UserDay;
use model::fact::ServerKey;
use model::session::{EndReason, Recorded, Standing};
use model::usage::Used;
use std::sync::Arc;

/// Which session it is, in all its revisions.
pub(crate) fn session_id(hub: &str, user: &str, server: &str, started: Timestamp) -> RowId {
    RowId::of(&["session", hub, user, server, &started.to_string()])
}

/// Which closed day it is, in all its revisions.
pub(crate) fn user_day_id(hub: &str, user: &str, day: Date) -> RowId {
    RowId::of(&["user day", hub, user, &day.to_string()])
}

/// The row of one revision of a session that ended.
pub(crate) fn session_row(hub: &Arc<str>, key: &ServerKey, recorded: &Recorded) -> tables::Session {
    let session = &recorded.session;
    let (ended, reason) = match session.end {
        Some(end) => (end.at, end.reason),
        // Only ended sessions are recorded.
        None => (session.last_seen, EndReason::Unobserved),
    };
    tables::Session {
        id: session_id(hub, key.user.as_str(), &key.server, session.started),
        revision: i64::from(recorded.revision),
        hub: Arc::clone(hub),
        user: key.user.clone(),
        server: Arc::clone(&key.server),
        started: session.started,
        ended,
        last_seen: session.last_seen,
        end_reason: reason.as_str().into(),
        active_seconds: session
            .active_seconds
            .map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX)),
        options: session.options.clone(),
        image: session.image.clone(),
        withdrawn: recorded.standing == Standing::Withdrawn,
    }
}

/// The row of one revision of a closed day: what ran, and what that used.
pub(crate) fn user_day_row(
    hub: &Arc<str>,
    day: &UserDay,
    used: &Used,
    revision: i64,
) -> tables::UserDay {
    tables::UserDay {
        id: user_day_id(hub, day.user.as_str(), day.day.date()),
        revision,
        hub: Arc::clone(hub),
        day: day.day.date(),
        user: day.user.clone(),
        sessions: i64::from(day.sessions),
        hours: day.hours,
        active_seconds: day
            .active_seconds
            .map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX)),
        cpu_core_seconds: used.cpu_core_seconds,
        memory_byte_seconds: used.memory_byte_seconds,
        gpu_seconds: used.gpu_seconds,
    }
}

/// What was used, as a row says.
pub(crate) fn used_of(row: &tables::UserDay) -> Used {
    Used {
        cpu_core_seconds: row.cpu_core_seconds,
        memory_byte_seconds: row.memory_byte_seconds,
        gpu_seconds: row.gpu_seconds,
    }
}
