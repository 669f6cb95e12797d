//! The history as rows of the store's tables.

use super::facts::Teller;
use super::homes::HomeDay;
use super::items::Item;
use super::news::MemberNews;
use super::presence::Reading;
use crate::events::{self, Reader};
use crate::hub::Number;
use crate::sources::prometheus::HourUse;
use crate::usage::rows::{storage_row, usage_row};
use model::days::UserDay;
use model::diff::Move;
use model::fact::{KeyedFact, ServerKey};
use model::session::Session;
use model::usage::Used;
use std::sync::Arc;
use store::tables::{self, Event, Membership, Observation, RowId, Storage, Usage};

/// Makes rows of one hub. Texts that many rows share are shared.
#[derive(Debug)]
pub(super) struct Rows {
    hub: Arc<str>,
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
            by_poll: "poll".into(),
            by_hub: "hub".into(),
            joined: "joined".into(),
            left: "left".into(),
            no_labels: "{}".into(),
        }
    }

    pub(super) fn event(&self, told: &KeyedFact, teller: Teller) -> Event {
        let source = match teller {
            Teller::Poll => &self.by_poll,
            Teller::Hub => &self.by_hub,
        };
        store::event_of(&self.hub, source, told)
    }

    /// An item as the service reads it; `None` if it cannot, which tests say is never.
    pub(super) fn told(reader: &mut Reader, item: &Item) -> Option<Event> {
        let line = serde_json::to_vec(item).ok()?;
        match reader.read(&line, item.at()) {
            events::Item::Event(event) => Some(*event),
            events::Item::Rejected(_) => None,
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

    pub(super) fn user_day(&self, day: UserDay, used: &Used) -> tables::UserDay {
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
            cpu_core_seconds: used.cpu_core_seconds,
            memory_byte_seconds: used.memory_byte_seconds,
            gpu_seconds: used.gpu_seconds,
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

    pub(super) fn observation(&self, reading: &Reading) -> Observation {
        let at = reading.at.to_string();
        let kind = if reading.hour.is_some() {
            "hour"
        } else {
            "observation"
        };
        let name: Arc<str> = reading.name.into();
        let labels = self.labels(reading);
        let hour = reading.hour.as_ref();
        Observation {
            id: RowId::of(&[kind, &self.hub, &at, &name, &labels]),
            hub: Arc::clone(&self.hub),
            at: reading.at,
            name,
            labels,
            value: reading.value,
            min: hour.map(|hour| hour.min),
            max: hour.map(|hour| hour.max),
            last: hour.map(|hour| hour.last),
            n: hour.map(|hour| hour.n),
        }
    }

    fn labels(&self, reading: &Reading) -> Arc<str> {
        if reading.labels.is_empty() {
            return Arc::clone(&self.no_labels);
        }
        let labels = reading.labels.iter();
        let labels = labels.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let number = Number {
            name: reading.name.into(),
            labels: labels.collect(),
            value: reading.value,
        };
        number.labels_json().into()
    }

    pub(super) fn usage(&self, used: &HourUse) -> Usage {
        usage_row(&self.hub, used)
    }

    pub(super) fn storage(&self, home: &HomeDay) -> Storage {
        storage_row(&self.hub, home.day, &home.size, home.at)
    }
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
