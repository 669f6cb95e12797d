//! What is in the request of a number: the same for the client, which keeps a ledger, and for the
//! writer, which takes it.

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use model::diff::StopCredit;
use model::snapshot::Dated;
use std::sync::Arc;
use store::tables::{
    Audit, DeadLetter, Event, Membership, Observation, Row, RowId, RowKind, Storage, Usage,
};
use store::{Intake, PresentChange};

pub(super) const HUB: &str = "hub";
/// Rows in a request beside those of servers.
const N_LOGINS: usize = 12;
/// Each such request also brings a server and an address of 40 days ago.
const LATE: u64 = 25;

/// One request of the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// Midnight, UTC, of the day on which the test began.
    pub(super) midnight: Timestamp,
}

/// What a table must hold of a row.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) table: &'static str,
    pub(super) kind: RowKind,
    pub(super) id: String,
    pub(super) revision: i64,
}

/// A session that follows from a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Span {
    pub(super) user: String,
    pub(super) server: String,
    pub(super) started: Timestamp,
}

impl Span {
    pub(super) fn day(&self) -> String {
        self.started
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
            .to_string()
    }
}

impl Batch {
    pub(super) fn intake(&self) -> Intake {
        let mut intake = Intake::default();
        for event in self.events() {
            intake.event(&event).unwrap();
        }
        let user = self.user().as_str().into();
        intake.row(&self.membership(), Some(&user)).unwrap();
        intake.row(&self.observation(), None).unwrap();
        intake.row(&self.usage(), Some(&user)).unwrap();
        intake.row(&self.storage(), Some(&user)).unwrap();
        intake.row(&self.dead_letter(), None).unwrap();
        intake.row(&self.audit(), None).unwrap();
        // Nothing runs, so that days before today are over.
        let at = self.midnight;
        let servers = Dated {
            value: Vec::new(),
            at,
        };
        intake.present(PresentChange::Servers(servers, StopCredit::default()));
        intake
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.events().iter().map(key).collect();
        keys.extend([
            key(&self.membership()),
            key(&self.observation()),
            key(&self.usage()),
            key(&self.storage()),
            key(&self.dead_letter()),
            key(&self.audit()),
        ]);
        keys
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let recent = Span {
            user: self.user(),
            server: format!("server-{}", self.number),
            started: self.recent(),
        };
        let late = Span {
            server: format!("late-{}", self.number),
            started: self.long_ago(),
            ..recent.clone()
        };
        if self.is_late() {
            vec![recent, late]
        } else {
            vec![recent]
        }
    }

    fn is_late(&self) -> bool {
        self.number.is_multiple_of(LATE)
    }

    fn user(&self) -> String {
        format!("user-{}", self.number % 97)
    }

    /// On one of the five days before the test; a session of half an hour ends on the same day.
    fn recent(&self) -> Timestamp {
        let days_ago = 1 + i64::try_from(self.number % 5).unwrap();
        let hour = i64::try_from(self.number % 23).unwrap();
        self.midnight - (24 * days_ago).hours() + hour.hours()
    }

    fn long_ago(&self) -> Timestamp {
        self.recent() - (24 * 40).hours()
    }

    fn id(&self, what: &str) -> RowId {
        RowId::from(format!("{what}-{}", self.number).as_str())
    }

    fn events(&self) -> Vec<Event> {
        let mut events: Vec<Event> = (0..N_LOGINS)
            .map(|index| self.login(&format!("login-{index}"), self.recent()))
            .collect();
        if self.is_late() {
            let address = Some(r#"{"address":"192.0.2.1"}"#.into());
            events.push(Event {
                detail: address,
                ..self.login("long-ago", self.long_ago())
            });
        }
        for span in self.spans() {
            let half_an_hour = SignedDuration::from_mins(30);
            for (kind, at) in [
                ("server-start", span.started),
                ("server-stop", span.started + half_an_hour),
            ] {
                events.push(Event {
                    kind: kind.into(),
                    server: Some(span.server.as_str().into()),
                    source: "hub".into(),
                    ..self.login(&format!("{kind}-{}", span.server), at)
                });
            }
        }
        events
    }

    fn login(&self, what: &str, at: Timestamp) -> Event {
        Event {
            id: self.id(what),
            hub: HUB.into(),
            at,
            not_before: None,
            kind: "login".into(),
            user: Some(self.user().as_str().into()),
            server: None,
            detail: None,
            source: "test".into(),
            schema: None,
            schema_version: None,
        }
    }

    fn membership(&self) -> Membership {
        Membership {
            id: self.id("membership"),
            hub: HUB.into(),
            user: self.user().as_str().into(),
            group: format!("group-{}", self.number).as_str().into(),
            at: self.recent(),
            not_before: None,
            change: "joined".into(),
            reason: None,
        }
    }

    fn observation(&self) -> Observation {
        Observation {
            id: self.id("observation"),
            hub: HUB.into(),
            at: self.recent(),
            name: "api_users".into(),
            labels: "{}".into(),
            value: f64::from(u32::try_from(self.number).unwrap()),
            min: None,
            max: None,
            last: None,
            n: None,
        }
    }

    /// Every second one corrects the one before.
    fn usage(&self) -> Usage {
        Usage {
            id: RowId::from(format!("usage-{}", self.number / 2).as_str()),
            revision: i64::try_from(self.number % 2).unwrap(),
            hub: HUB.into(),
            hour: self.midnight,
            user: self.user().as_str().into(),
            server: None,
            cpu_core_seconds: Some(1.0),
            memory_byte_seconds: None,
            cpu_requested_core_seconds: None,
            memory_requested_byte_seconds: None,
            gpu_requested_seconds: None,
            gpu_used_seconds: None,
            network_rx_bytes: None,
            network_tx_bytes: None,
            memory_peak_bytes: None,
            samples: 60,
        }
    }

    fn storage(&self) -> Storage {
        Storage {
            id: self.id("storage"),
            revision: 0,
            hub: HUB.into(),
            day: self.recent().to_zoned(jiff::tz::TimeZone::UTC).date(),
            user: self.user().as_str().into(),
            home_bytes: 1e9,
            files: None,
        }
    }

    fn dead_letter(&self) -> DeadLetter {
        DeadLetter {
            id: self.id("letter"),
            hub: HUB.into(),
            at: self.recent(),
            source: "test".into(),
            reason: "no JSON".into(),
            text: "?".into(),
        }
    }

    fn audit(&self) -> Audit {
        Audit {
            id: self.id("audit"),
            hub: HUB.into(),
            at: self.recent(),
            viewer: Arc::from(self.user()),
            what: "looked".into(),
        }
    }
}

fn key<R: Row>(row: &R) -> Key {
    Key {
        table: R::TABLE.name,
        kind: R::TABLE.kind,
        id: row.id().as_str().to_owned(),
        revision: row.revision(),
    }
}
