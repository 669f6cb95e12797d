//! What is known of each day: unknown is not zero.
//!
//! A day is known if something was collected on it. Before the first reading of the hub, in history
//! that was imported, every day from the first session on is: one that was over by that reading, since
//! who only finds a server that has run for long does not know who else ran one.

use super::calendar::{Calendar, DayNumber, HubCalendar, date};
use super::definition::{Lead, Need};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// What is known of a hub.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Knowledge {
    /// Day of the first reading, or of the first of the sessions that were over by then.
    pub(crate) begins: Option<DayNumber>,
    /// Day of the first reading.
    pub(crate) first_reading: Option<DayNumber>,
    /// Since when sessions are known, if none was over by the first reading: a whole hour.
    pub(crate) known_from: Option<Timestamp>,
    /// The last reading of the period.
    pub(crate) read: Option<Timestamp>,
    /// Hours with a reading, by day.
    pub(crate) watched_hours: BTreeMap<DayNumber, usize>,
    /// From which day to which memberships, accounts and hooks are told of and usage is collected.
    pub(crate) spans: BTreeMap<Need, RangeInclusive<DayNumber>>,
    /// Days with rows of usage or storage.
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
        let span = |need| self.spans.get(&need);
        let within = |need| known && span(need).is_some_and(|days| days.contains(&day));
        let has = |need| self.days.get(&need).is_some_and(|days| days.contains(&day));
        OfDay {
            in_history,
            known,
            members: within(Need::Members),
            accounts: within(Need::Accounts),
            hooks: within(Need::Hooks),
            storage: has(Need::Storage),
            usage: has(Need::Usage) || (within(Need::Usage) && !self.ran.contains(&day)),
            watched: is_watched.then(|| {
                let n_hours = hours_so_far(day, hub, now);
                ratio(n_watched.min(n_hours), n_hours)
            }),
        }
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
    /// First day that is read.
    pub(crate) first: DayNumber,
    /// First day of the period.
    pub(crate) from: DayNumber,
    pub(crate) lead: Lead,
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

    /// Those of these needs that are met on no day of the period, of no hub.
    pub(crate) fn never_known(&self, needs: &[Need]) -> Vec<Need> {
        let is_ever_known = |need: &&Need| {
            self.calendar.hubs().any(|(name, hub)| {
                let mut days = self.from..=hub.last().min(hub.day_of(self.now));
                let known = self.knowledge.get(name);
                known.is_some_and(|known| {
                    days.any(|day| known.of_day(day, hub, self.now).has(**need))
                })
            })
        };
        let never = needs.iter().filter(|need| !is_ever_known(need));
        never.copied().collect()
    }

    fn of_hub(&self, known: &Knowledge, hub: &HubCalendar, needs: &[Need]) -> Vec<String> {
        let Some(begins) = known.begins else {
            return vec!["Nothing was collected yet.".to_owned()];
        };
        let of_days = |days: RangeInclusive<DayNumber>| -> Days {
            let of_day = |day| (day, known.of_day(day, hub, self.now));
            Days(days.map(of_day).collect())
        };
        // Elsewhere it may be tomorrow.
        let last = hub.last().min(hub.day_of(self.now));
        let mut told = Vec::new();
        if begins > self.from {
            let begins = date(begins);
            told.push(format!(
                "The history begins on {begins}: days before it are not known."
            ));
        }
        told.extend(of_days(self.from..=last).told(needs));
        told.extend(of_days(self.first..=self.from - 1).told_before(needs, self.lead));
        if last >= self.from && hub.start(last + 1) > self.now {
            told.push(format!("{} is not over.", date(last)));
        }
        told
    }
}

/// Days in order and what is known of them.
struct Days(Vec<(DayNumber, OfDay)>);

impl Days {
    /// Those of the history that are like this, as text; `None` without any.
    fn that(&self, place: &str, is: impl Fn(&OfDay) -> bool) -> Option<String> {
        let days = self.0.iter().filter(|(_, of)| of.in_history && is(of));
        let days: Vec<DayNumber> = days.map(|(day, _)| *day).collect();
        (!days.is_empty()).then(|| ranges(&days, place))
    }

    /// Of the period.
    fn told(&self, needs: &[Need]) -> Vec<String> {
        let unknown = self.that("", |of| !of.known);
        let unknown =
            unknown.map(|days| format!("Nothing was collected on {days}: not known and left out."));
        let in_part = |of: &OfDay| of.known && of.watched.is_some_and(|share| share < 0.999);
        let in_part = self.that("", in_part);
        let in_part = in_part.map(|days| format!("Not watched all the time on {days}."));
        let told = unknown.into_iter().chain(in_part);
        told.chain(self.lacking(needs, "")).collect()
    }

    /// Of the days before the period that are read: all of them count in windows of days, and those
    /// that a period is compared with as much as its own.
    fn told_before(&self, needs: &[Need], lead: Lead) -> Vec<String> {
        const BEFORE: &str = " before the period, to which figures reach back";
        let unknown = self.that(BEFORE, |of| !of.known);
        let mut told: Vec<String> = unknown
            .map(|days| format!("Nothing was collected on {days}."))
            .into_iter()
            .collect();
        if lead == Lead::Period {
            told.extend(self.lacking(needs, BEFORE));
        }
        told
    }

    fn lacking(&self, needs: &[Need], place: &str) -> Vec<String> {
        let needs = needs.iter().filter(|need| **need != Need::Sessions);
        let told = needs.filter_map(|need| {
            let days = self.that(place, |of| of.known && !of.has(*need))?;
            Some(format!("{} not known on {days}.", subject(*need)))
        });
        told.collect()
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

/// `3 days: 2026-03-01, 2026-03-04 to 2026-03-05`, with the place behind `days`.
fn ranges(days: &[DayNumber], place: &str) -> String {
    const MOST: usize = 4;
    let mut parts: Vec<(DayNumber, DayNumber)> = Vec::new();
    for day in days {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *day => *last = *day,
            _ => parts.push((*day, *day)),
        }
    }
    let n_days = days.len();
    let plural = if n_days == 1 { "" } else { "s" };
    let mut text = format!("{n_days} day{plural}{place}: ");
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
