//! The history as rows of the store's tables.

use super::facts::Teller;
use super::news::MemberNews;
use super::presence::Reading;
use jiff::Timestamp;
use model::days::UserDay;
use model::diff::Move;
use model::fact::{ActiveHour, KeyedFact, ServerKey, StopEvidence, Watch, What};
use model::session::Session;
use std::fmt::Write as _;
use std::sync::Arc;
use store::tables::{self, Event, Membership, Observation, RowId};

/// Makes rows of one hub. Texts that many rows share are shared.
#[derive(Debug)]
pub(super) struct Rows {
    hub: Arc<str>,
    kinds: [Arc<str>; 6],
    by_poll: Arc<str>,
    by_hub: Arc<str>,
    joined: Arc<str>,
    left: Arc<str>,
    no_labels: Arc<str>,
}

impl Rows {
    pub(super) fn new(hub: &Arc<str>) -> Self {
        Self {
            hub: Arc::clone(hub),
            kinds: [
                "server-seen".into(),
                "server-activity".into(),
                "server-gone".into(),
                "server-start".into(),
                "server-stop".into(),
                "server-died".into(),
            ],
            by_poll: "poll".into(),
            by_hub: "hub".into(),
            joined: "joined".into(),
            left: "left".into(),
            no_labels: "{}".into(),
        }
    }

    pub(super) fn event(&self, told: &KeyedFact, teller: Teller) -> Event {
        let KeyedFact { key, fact } = told;
        let kind = &self.kinds[kind_of(&fact.what)];
        let detail = detail_of(&fact.what);
        let not_before = match &fact.what {
            What::Gone { last_seen, .. } => Some(*last_seen),
            What::Seen { started, .. } => Some(*started),
            _ => None,
        };
        let at = fact.at.to_string();
        let ServerKey { user, server } = key;
        let id = [
            "event",
            &self.hub,
            kind,
            &at,
            user.as_str(),
            server,
            &detail,
        ];
        let source = match teller {
            Teller::Poll => &self.by_poll,
            Teller::Hub => &self.by_hub,
        };
        Event {
            id: RowId::of(&id),
            hub: Arc::clone(&self.hub),
            at: fact.at,
            not_before,
            kind: Arc::clone(kind),
            user: Some(user.clone()),
            server: Some(Arc::clone(server)),
            detail: Some(detail.into()),
            source: Arc::clone(source),
            schema: None,
            schema_version: None,
        }
    }

    /// `None` while it runs.
    pub(super) fn session(&self, key: &ServerKey, session: &Session) -> Option<tables::Session> {
        let end = session.end?;
        let started = session.started.to_string();
        Some(tables::Session {
            id: RowId::of(&[
                "session",
                &self.hub,
                key.user.as_str(),
                &key.server,
                &started,
            ]),
            revision: 1,
            hub: Arc::clone(&self.hub),
            user: key.user.clone(),
            server: Arc::clone(&key.server),
            started: session.started,
            ended: end.at,
            last_seen: session.last_seen,
            end_reason: end.reason.as_str().into(),
            active_seconds: session.active_seconds.map(integer),
            options: session.options.clone(),
            image: session.image.clone(),
            withdrawn: false,
        })
    }

    pub(super) fn user_day(&self, day: UserDay) -> tables::UserDay {
        let date = day.day.to_string();
        tables::UserDay {
            id: RowId::of(&["user day", &self.hub, day.user.as_str(), &date]),
            revision: 1,
            hub: Arc::clone(&self.hub),
            day: day.day.date(),
            user: day.user,
            sessions: i64::from(day.sessions),
            hours: day.hours,
            active_seconds: day.active_seconds.map(integer),
            cpu_core_seconds: None,
            memory_byte_seconds: None,
            gpu_seconds: None,
        }
    }

    pub(super) fn membership(&self, news: MemberNews) -> Membership {
        let change = match news.change.change {
            Move::Joined => &self.joined,
            Move::Left => &self.left,
        };
        let (user, group) = (news.change.user, news.change.group);
        let at = news.at.to_string();
        let id = [
            "membership",
            &self.hub,
            user.as_str(),
            group.as_str(),
            &at,
            change,
        ];
        Membership {
            id: RowId::of(&id),
            hub: Arc::clone(&self.hub),
            user,
            group,
            at: news.at,
            not_before: news.not_before,
            change: Arc::clone(change),
            reason: None,
        }
    }

    pub(super) fn observation(&self, reading: Reading) -> Observation {
        let at = reading.at.to_string();
        let kind = if reading.hour.is_some() {
            "hour"
        } else {
            "observation"
        };
        let name: Arc<str> = reading.name.into();
        let hour = reading.hour.as_ref();
        Observation {
            id: RowId::of(&[kind, &self.hub, &at, &name, &self.no_labels]),
            hub: Arc::clone(&self.hub),
            at: reading.at,
            name,
            labels: Arc::clone(&self.no_labels),
            value: reading.value,
            min: hour.map(|hour| hour.min),
            max: hour.map(|hour| hour.max),
            last: hour.map(|hour| hour.last),
            n: hour.map(|hour| hour.n),
        }
    }
}

fn kind_of(what: &What) -> usize {
    match what {
        What::Seen { .. } => 0,
        What::Activity { .. } => 1,
        What::Gone { .. } => 2,
        What::Start => 3,
        What::Stop => 4,
        What::Died => 5,
    }
}

fn detail_of(what: &What) -> String {
    let mut detail = Detail(String::with_capacity(160));
    match what {
        What::Seen {
            started,
            options,
            image,
        } => {
            detail.time("started", *started);
            if let Some(options) = options {
                detail.json("options", options);
            }
            if let Some(image) = image {
                detail.text("image", image);
            }
        }
        What::Activity { started, hours } => {
            detail.time("started", *started);
            detail.hours("active_seconds_by_hour", hours);
        }
        What::Gone {
            started,
            last_seen,
            watch,
            hub_restarted,
            stop_counted,
        } => {
            if let Some(started) = started {
                detail.time("started", *started);
            }
            detail.time("last_seen", *last_seen);
            detail.text(
                "watch",
                match watch {
                    Watch::Watched => "Watched",
                    Watch::Unwatched => "Unwatched",
                },
            );
            if let Some(restarted) = hub_restarted {
                detail.time("hub_restarted", *restarted);
            }
            detail.text(
                "stop_counted",
                match stop_counted {
                    StopEvidence::Asked => "Asked",
                    StopEvidence::NotAsked => "NotAsked",
                    StopEvidence::Unknown => "Unknown",
                },
            );
        }
        What::Start | What::Stop | What::Died => {}
    }
    detail.finish()
}

/// A JSON object as text, without a tree of values: a year has millions of them.
struct Detail(String);

impl Detail {
    fn json(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        // Writing to a string cannot fail, here and below.
        let _ = write!(self.0, "\"{name}\":{value}");
    }

    fn text(&mut self, name: &str, value: &str) {
        let text = serde_json::to_string(value).unwrap_or_default();
        self.json(name, &text);
    }

    fn time(&mut self, name: &str, value: Timestamp) {
        self.json(name, "\"");
        let _ = write!(self.0, "{value}\"");
    }

    fn hours(&mut self, name: &str, hours: &[ActiveHour]) {
        self.json(name, "{");
        for (index, ActiveHour { hour, seconds }) in hours.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(self.0, "{comma}\"{hour}\":{seconds}");
        }
        self.0.push('}');
    }

    fn finish(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
