//! What is known of each day: unknown is not zero.
//!
//! A day is known if something was collected on it. Before the first reading of the hub, in history
//! that was imported, every day from the first session on is.

use super::calendar::{Calendar, DayNumber, HubCalendar, date};
use super::definition::Need;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What is known of a hub.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Knowledge {
    /// Day of the first session or reading.
    pub(crate) begins: Option<DayNumber>,
    /// Day of the first reading.
    pub(crate) first_reading: Option<DayNumber>,
    /// The last reading of the period.
    pub(crate) read: Option<Timestamp>,
    /// Hours with a reading, by day.
    pub(crate) watched_hours: BTreeMap<DayNumber, usize>,
    /// First day of which memberships are known, and so on.
    pub(crate) since: BTreeMap<Need, DayNumber>,
    /// Days with rows of usage or storage, and one with usage before them, if there is one.
    pub(crate) days: BTreeMap<Need, BTreeSet<DayNumber>>,
    /// Days on which a server ran.
    pub(crate) ran: BTreeSet<DayNumber>,
}

/// What is known of one day.
#[expect(
    clippy::struct_excessive_bools,
    reason = "columns of a table, each of which is a flag"
)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OfDay {
    pub(crate) in_history: bool,
    pub(crate) known: bool,
    pub(crate) members: bool,
    pub(crate) usage: bool,
    pub(crate) accounts: bool,
    pub(crate) hooks: bool,
    pub(crate) storage: bool,
    /// Share of the hours with a reading; `None` before the first one.
    pub(crate) watched: Option<f64>,
}

impl OfDay {
    fn has(&self, need: Need) -> bool {
        match need {
            Need::Sessions => self.known,
            Need::Members => self.members,
            Need::Usage => self.usage,
            Need::Accounts => self.accounts,
            Need::Hooks => self.hooks,
            Need::Storage => self.storage,
        }
    }
}

impl Knowledge {
    /// What is known of a day; `now` is in microseconds since 1970.
    pub(crate) fn of_day(&self, day: DayNumber, hub: &HubCalendar, now: i64) -> OfDay {
        let in_history = self.begins.is_some_and(|begins| begins <= day);
        let is_watched = self.first_reading.is_some_and(|first| first <= day);
        let n_watched = self.watched_hours.get(&day).copied().unwrap_or(0);
        let known = in_history && (!is_watched || n_watched > 0);
        let since = |need| known && self.since.get(&need).is_some_and(|since| *since <= day);
        let has = |need| self.days.get(&need).is_some_and(|days| days.contains(&day));
        OfDay {
            in_history,
            known,
            members: since(Need::Members),
            accounts: since(Need::Accounts),
            hooks: since(Need::Hooks),
            storage: has(Need::Storage),
            usage: has(Need::Usage) || (known && !self.ran.contains(&day) && self.is_between(day)),
            watched: is_watched.then(|| {
                let n_hours = hours_so_far(day, hub, now);
                ratio(n_watched.min(n_hours), n_hours)
            }),
        }
    }

    /// Whether usage was collected before the day, at most a month before what is read.
    fn is_between(&self, day: DayNumber) -> bool {
        let first = self.days.get(&Need::Usage).and_then(BTreeSet::first);
        first.is_some_and(|first| *first <= day)
    }
}

fn hours_so_far(day: DayNumber, hub: &HubCalendar, now: i64) -> usize {
    let end = hub.start(day + 1);
    if now >= end {
        return hub.n_hours(day);
    }
    hub.hours_of(hub.start(day), now.max(hub.start(day) + 1))
        .count()
}

#[expect(clippy::cast_precision_loss, reason = "hours of a day")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

/// What a reader should know of the days of a period, a sentence each.
pub(crate) struct Caveats<'a> {
    pub(crate) calendar: &'a Calendar,
    pub(crate) knowledge: &'a BTreeMap<String, Knowledge>,
    pub(crate) from: Date,
    pub(crate) now: i64,
}

impl Caveats<'_> {
    /// About what figures stand on.
    pub(crate) fn about(&self, needs: &[Need]) -> Vec<String> {
        let several = self.calendar.hubs().count() > 1;
        let mut all = Vec::new();
        for (name, hub) in self.calendar.hubs() {
            let nothing = Knowledge::default();
            let known = self.knowledge.get(name).unwrap_or(&nothing);
            let told = self.of_hub(known, hub, needs);
            all.extend(told.into_iter().map(|told| {
                if several {
                    format!("{name}: {told}")
                } else {
                    told
                }
            }));
        }
        all
    }

    fn of_hub(&self, known: &Knowledge, hub: &HubCalendar, needs: &[Need]) -> Vec<String> {
        let from = super::calendar::number(self.from);
        let days: Vec<DayNumber> = (from..=hub.last()).collect();
        let Some(begins) = known.begins else {
            return vec!["Nothing was collected yet.".to_owned()];
        };
        let mut told = Vec::new();
        if begins > from {
            told.push(format!(
                "The history begins on {}: days before it are not known.",
                date(begins)
            ));
        }
        let of_day = |day: &DayNumber| known.of_day(*day, hub, self.now);
        let in_history: Vec<DayNumber> = days.into_iter().filter(|day| *day >= begins).collect();
        let unknown = in_history.iter().filter(|day| !of_day(day).known);
        let unknown: Vec<DayNumber> = unknown.copied().collect();
        if !unknown.is_empty() {
            told.push(format!(
                "Nothing was collected on {}: not known and left out.",
                ranges(&unknown)
            ));
        }
        let in_part = |day: &&DayNumber| {
            let of_day = of_day(day);
            of_day.known && of_day.watched.is_some_and(|share| share < 0.999)
        };
        let partly: Vec<DayNumber> = in_history.iter().filter(in_part).copied().collect();
        if !partly.is_empty() {
            told.push(format!("Not watched all the time on {}.", ranges(&partly)));
        }
        for need in needs.iter().filter(|need| **need != Need::Sessions) {
            let lacks = |day: &&DayNumber| of_day(day).known && !of_day(day).has(*need);
            let lacking: Vec<DayNumber> = in_history.iter().filter(lacks).copied().collect();
            if !lacking.is_empty() {
                told.push(format!(
                    "{} not known on {}.",
                    subject(*need),
                    ranges(&lacking)
                ));
            }
        }
        if hub.start(hub.last() + 1) > self.now {
            told.push(format!("{} is not over.", date(hub.last())));
        }
        told
    }
}

fn subject(need: Need) -> &'static str {
    match need {
        Need::Sessions => "Sessions are",
        Need::Members => "Memberships are",
        Need::Usage => "Usage is",
        Need::Accounts => "New accounts are",
        Need::Hooks => "What the hub's hooks tell (logins, starts) is",
        Need::Storage => "Sizes of homes are",
    }
}

/// `3 days: 2026-03-01, 2026-03-04 to 2026-03-05`.
fn ranges(days: &[DayNumber]) -> String {
    const MOST: usize = 4;
    let mut parts: Vec<(DayNumber, DayNumber)> = Vec::new();
    for day in days {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *day => *last = *day,
            _ => parts.push((*day, *day)),
        }
    }
    let n_days = days.len();
    let mut text = format!("{n_days} day{}: ", if n_days == 1 { "" } else { "s" });
    for (index, (first, last)) in parts.iter().take(MOST).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{}", date(*first));
        if last > first {
            let _ = write!(text, " to {}", date(*last));
        }
    }
    if parts.len() > MOST {
        text.push_str(" …");
    }
    text
}
