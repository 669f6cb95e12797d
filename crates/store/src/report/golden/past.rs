//! A tiny history, made of lines of text.

use super::super::Network;
use super::words::Words;
use crate::tables::{self, RowId};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::fact::ActiveHour;
use std::sync::Arc;

/// A tiny history: rows, with the hub that the next lines are about.
#[derive(Clone)]
pub(crate) struct Past {
    pub(super) hub: Arc<str>,
    pub(super) zone: TimeZone,
    pub(super) now: Option<Timestamp>,
    pub(super) n_rows: u32,
    pub(crate) events: Vec<tables::Event>,
    pub(crate) memberships: Vec<tables::Membership>,
    pub(crate) sessions: Vec<tables::Session>,
    pub(super) running: Vec<tables::Session>,
    pub(super) running_by_hour: Vec<Option<String>>,
    /// Of which session, whether it still runs, and its hours with activity.
    pub(super) active: Vec<(usize, bool, Vec<ActiveHour>)>,
    pub(crate) usage: Vec<tables::Usage>,
    pub(crate) storage: Vec<tables::Storage>,
    pub(crate) observations: Vec<tables::Observation>,
    pub(super) networks: Vec<Network>,
    pub(super) zones: Vec<(Arc<str>, TimeZone, String)>,
}

impl Past {
    /// Nothing happened.
    pub(crate) fn new() -> Self {
        Self {
            hub: "".into(),
            zone: TimeZone::UTC,
            now: None,
            n_rows: 0,
            events: Vec::new(),
            memberships: Vec::new(),
            sessions: Vec::new(),
            running: Vec::new(),
            running_by_hour: Vec::new(),
            active: Vec::new(),
            usage: Vec::new(),
            storage: Vec::new(),
            observations: Vec::new(),
            networks: Vec::new(),
            zones: Vec::new(),
        }
    }

    /// What a line says happened, too.
    pub(crate) fn add(&mut self, line: &str) {
        let line = line.split(" # ").next().unwrap_or(line);
        let words = Words::of(line);
        let plain = words.plain.clone();
        match plain[..] {
            ["hub", name, zone] => {
                self.hub = name.into();
                self.zone = TimeZone::get(zone).unwrap();
                self.zones
                    .push((name.into(), self.zone.clone(), zone.to_owned()));
            }
            ["now", at] => self.now = Some(self.at(at)),
            ["watched", from, to] => self.watch(self.at(from), self.at(to)),
            ["account", user] => {
                let at = self.first_reading();
                self.account(user, at, None, "user-added");
            }
            ["account", user, at] => {
                let at = self.at(at);
                let before = at - SignedDuration::from_mins(1);
                self.account(user, at, Some(before), "user-added");
            }
            ["account-removed", user, at] => {
                let at = self.at(at);
                self.account(user, at, None, "user-removed");
            }
            ["member", user, group, joined] => self.member(user, group, joined, "joined"),
            ["member", user, group, joined, left] => {
                self.member(user, group, joined, "joined");
                self.member(user, group, left, "left");
            }
            ["session", user, name, started, ended] => {
                let session = self.session(user, name, started, Some(ended), &words);
                self.sessions.push(session);
                let index = self.sessions.len() - 1;
                self.activity(index, false, &words);
            }
            ["running", user, name, started] => {
                let session = self.session(user, name, started, None, &words);
                self.running.push(session);
                self.running_by_hour.push(None);
                let index = self.running.len() - 1;
                self.activity(index, true, &words);
            }
            ["usage", hour, user, name] => self.use_of(hour, user, name, &words),
            ["storage", day, user, bytes] => self.home(day, user, bytes, None),
            ["storage", day, user, bytes, files] => self.home(day, user, bytes, Some(files)),
            ["event", at, kind, user, name] => self.event(at, kind, user, name, &words),
            ["reading", at, name, ref values @ ..] => self.reading(at, name, values, &words),
            ["network", name, range] => self.networks.push(Network::parse(name, range).unwrap()),
            _ => panic!("`{line}` is not understood"),
        }
    }

    /// Of the next row.
    pub(super) fn id(&mut self) -> RowId {
        self.n_rows += 1;
        RowId::of(&[&self.n_rows.to_string()])
    }

    /// A time of the hub's clock, or of UTC with a `Z`.
    pub(super) fn at(&self, text: &str) -> Timestamp {
        if text.ends_with('Z') {
            return text
                .parse()
                .unwrap_or_else(|_| panic!("`{text}` is no time"));
        }
        let local: DateTime = text
            .parse()
            .unwrap_or_else(|_| panic!("`{text}` is no time"));
        local.to_zoned(self.zone.clone()).unwrap().timestamp()
    }

    /// When the hub was looked at first.
    pub(super) fn first_reading(&self) -> Timestamp {
        let mine = self.observations.iter().filter(|row| row.hub == self.hub);
        let first = mine.map(|row| row.at).min();
        first.expect("`watched` stands before `account`")
    }
}
