//! Random tiny histories, told in the words of golden files: one that breaks a law is printed as
//! lines that can be read, and asked about in a golden file.

mod hub;
mod told;

pub(super) use hub::Session;

use crate::report::golden::Past;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::fmt;
use std::ops::Range;

/// Everybody who may run a server.
pub(super) const USERS: [&str; 4] = ["ada", "ben", "cyd", "dan"];
const SERVERS: [&str; 2] = ["-", "lab"];
const GROUPS: [&str; 3] = ["physics", "math", "chem"];
const HUBS: [&str; 2] = ["hub", "far"];

/// First day of a history, and the zones of its hubs.
type Place = (&'static str, [&'static str; 2]);

/// Clocks are changed within ten days.
const CHANGING: &[Place] = &[
    ("2026-03-03", ["America/New_York", "Asia/Kathmandu"]),
    ("2026-10-28", ["America/New_York", "Europe/Berlin"]),
    ("2026-04-01", ["Australia/Lord_Howe", "UTC"]),
    ("2026-09-30", ["Australia/Lord_Howe", "America/New_York"]),
];
/// No clock is changed for two months.
const CALM: &[Place] = &[
    ("2026-05-13", ["Asia/Kathmandu", "America/New_York"]),
    ("2026-06-01", ["Europe/Berlin", "Australia/Lord_Howe"]),
];

/// What a history is like.
#[derive(Clone, Copy)]
pub(super) struct Like {
    places: &'static [Place],
    n_days: i32,
    most_hubs: usize,
    longest_pause: SignedDuration,
    has_gaps: bool,
}

impl Like {
    /// Ten days in which clocks are changed; all of them are watched.
    pub(super) const SHORT: Self = Self {
        places: CHANGING,
        n_days: 10,
        most_hubs: 2,
        longest_pause: SignedDuration::from_hours(40),
        has_gaps: false,
    };
    /// The same, with days on which nothing was collected.
    pub(super) const WITH_GAPS: Self = Self {
        has_gaps: true,
        ..Self::SHORT
    };
    /// The same without a change of clocks.
    pub(super) const CALM: Self = Self {
        places: CALM,
        ..Self::WITH_GAPS
    };
    /// Days enough for windows of 30 of them, in which people stay away for weeks.
    pub(super) const LONG: Self = Self {
        n_days: 42,
        longest_pause: SignedDuration::from_hours(24 * 16),
        ..Self::WITH_GAPS
    };
    /// What one service sees.
    pub(super) const OF_ONE_HUB: Self = Self {
        most_hubs: 1,
        ..Self::WITH_GAPS
    };
}

/// A history of one or two hubs.
#[derive(Clone)]
pub(super) struct History {
    pub(super) hubs: Vec<Hub>,
    n_days: i32,
}

/// A hub and what happened on it.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    pub(super) name: &'static str,
    zone: &'static str,
    first: Date,
    /// Of each user and each of their servers.
    stays: Vec<Vec<Stay>>,
    /// Of each user and group: the day on which they joined, counted from the first one, and how many
    /// days later they left.
    members: Vec<Option<(i32, Option<i32>)>>,
    /// Days on which nothing was collected, counted from the first one.
    unwatched: Range<i32>,
    cut: Cut,
}

/// Whether each session is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Nowhere,
    AtMidnight,
}

/// What a server does next: it waits, then it runs.
#[derive(Clone, Copy, Debug)]
struct Stay {
    pause: SignedDuration,
    length: Length,
    active_percent: Option<i64>,
    quarter_cores: Option<u32>,
    gpus: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Length {
    Minutes(i64),
    /// Until so many midnights have come, to the moment.
    Midnights(i32),
}

fn stays(longest_pause: SignedDuration) -> impl Strategy<Value = Stay> {
    let length = prop_oneof![
        1 => Just(Length::Minutes(0)),
        6 => (1..36 * 60i64).prop_map(Length::Minutes),
        2 => (1..=2).prop_map(Length::Midnights),
    ];
    (
        1..=longest_pause.as_mins(),
        length,
        option::of(0..=100i64),
        option::weighted(0.8, 0..=8u32),
        option::weighted(0.4, 0..=2u32),
    )
        .prop_map(
            |(pause, length, active_percent, quarter_cores, gpus)| Stay {
                pause: SignedDuration::from_mins(pause),
                length,
                active_percent,
                quarter_cores,
                gpus,
            },
        )
}

fn hubs(like: Like) -> impl Strategy<Value = Hub> {
    let n_days = like.n_days;
    let stays = vec(
        vec(stays(like.longest_pause), 0..5),
        USERS.len() * SERVERS.len(),
    );
    let member = (0..n_days, option::of(1..n_days));
    let members = vec(option::weighted(0.4, member), USERS.len() * GROUPS.len());
    let gap = (2..n_days - 3, 1..3).prop_map(|(first, n_days)| first..first + n_days);
    let unwatched = if like.has_gaps {
        prop_oneof![Just(0..0), gap].boxed()
    } else {
        Just(0..0).boxed()
    };
    (stays, members, unwatched).prop_map(|(stays, members, unwatched)| Hub {
        name: "",
        zone: "",
        first: Date::ZERO,
        stays,
        members,
        unwatched,
        cut: Cut::Nowhere,
    })
}

/// Histories that are like this.
pub(super) fn histories(like: Like) -> impl Strategy<Value = History> {
    let hubs = vec(hubs(like), 1..=like.most_hubs);
    (select(like.places), hubs).prop_map(move |((first, zones), mut hubs)| {
        for (number, hub) in hubs.iter_mut().enumerate() {
            hub.name = HUBS[number];
            hub.zone = zones[number];
            hub.first = first.parse().unwrap();
        }
        History {
            hubs,
            n_days: like.n_days,
        }
    })
}

impl History {
    /// Its first day.
    pub(super) fn first(&self) -> Date {
        self.hubs[0].first
    }

    /// Today, on the first hub.
    pub(super) fn last(&self) -> Date {
        self.hubs[0].date(self.n_days - 1)
    }

    /// In the afternoon of the last day, on the first hub.
    pub(super) fn now(&self) -> Timestamp {
        self.hubs[0].midnight(self.n_days - 1) + SignedDuration::from_hours(15)
    }

    /// The same so many days later.
    pub(super) fn later(&self, n_days: i32) -> Self {
        let mut later = self.clone();
        for hub in &mut later.hubs {
            hub.first = hub.date(n_days);
        }
        later
    }

    /// The same with a session for each day of a session.
    pub(super) fn cut_at_midnight(&self) -> Self {
        let mut cut = self.clone();
        for hub in &mut cut.hubs {
            hub.cut = Cut::AtMidnight;
        }
        cut
    }

    /// As lines of a golden file.
    pub(super) fn lines(&self) -> Vec<String> {
        let now = self.now();
        let mut lines = vec!["network campus 10.0.0.0/8".to_owned()];
        for hub in &self.hubs {
            hub.tell(now, &mut lines);
        }
        lines
    }

    /// As rows.
    pub(super) fn past(&self) -> Past {
        past(&self.lines())
    }
}

/// The rows that lines of a golden file stand for.
pub(super) fn past(lines: &[String]) -> Past {
    let mut past = Past::new();
    for line in lines {
        past.add(line);
    }
    past
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.lines().join("\n"))
    }
}
