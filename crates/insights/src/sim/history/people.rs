//! The people of the history: those of the simulated world, and some who have left it since.

use super::calendar::{Calendar, DAY, HOUR, time_us};
use super::habits::Kind;
use super::homes::Workdays;
use super::terms::{Stay, Terms};
use crate::hub::UserOptions;
use crate::sim::draw::Draw;
use crate::sim::generate::user_name;
use crate::sim::offers::Offer;
use crate::sim::usage::Home;
use crate::sim::{ServerState, User, World};
use crate::sources::prometheus::HourUse;
use model::names::UserName;
use std::sync::Arc;

/// Every so-many-th user of the history has left the hub again.
const ONE_IN_FORMER: usize = 25;
const NAMED_SERVERS: &[&str] = &["gpu", "batch-2", "training", "analysis"];
/// The named server whose runs are there in every history.
const LONG_RUN: &str = "long-run";
const LONGEST_RUN: i64 = 21 * DAY;

/// A user with everything that the whole year depends on.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: UserName,
    /// What their chance begins with.
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) pace: u64,
    /// When the hub got to know them, if within the history.
    pub(super) from: i64,
    /// When the hub forgot them, or the present.
    pub(super) to: i64,
    pub(super) stays: Vec<Stay>,
    /// Of all runs so far.
    pub(super) last_activity: Option<i64>,
    /// Not known before the first start that hooks in the hub told.
    pub(super) logged_in_until: Option<i64>,
    /// The default server first.
    pub(super) keys: Vec<Key>,
    /// As large as it was on the last day that was told; who never comes has none.
    pub(super) home: Option<Home>,
    pub(super) workdays: Workdays,
}

/// One server of a person, with all its runs to come.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) server: Arc<str>,
    pub(super) pattern: Pattern,
    /// Runs now, in the world.
    pub(super) open: Option<Open>,
    /// When the last run was missed.
    pub(super) free_from: i64,
    /// What was used in an hour of the next month, to which a next run may add.
    pub(super) held: Option<HourUse>,
}

/// When a server runs.
#[derive(Debug)]
pub(super) enum Pattern {
    /// The default server, by habit.
    Daily,
    /// A named server, now and then, for days.
    Named,
    /// Runs that every history has, in order of time.
    Written(Vec<WrittenRun>),
}

/// A run that survives everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct WrittenRun {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// A server that runs in the world.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) started: i64,
    pub(super) last_activity: i64,
    pub(super) options: UserOptions,
    pub(super) offer: &'static Offer,
}

impl Person {
    /// Everybody; the same for the same seed.
    pub(super) fn all(world: &World, calendar: &Calendar, seed: u64) -> Vec<Self> {
        let terms = Terms::new(world, calendar);
        let users = world.users().iter().enumerate();
        let mut people: Vec<Self> = users
            .map(|(index, user)| Self::present(user, index, &terms, calendar, seed))
            .collect();
        if let Some(person) = people
            .iter_mut()
            .find(|person| person.can_run_long(calendar))
        {
            person.keys.push(long_run(calendar));
        }
        let n_users = people.len();
        let former = n_users..n_users + n_users / ONE_IN_FORMER;
        people.extend(former.map(|index| Self::former(index, &terms, calendar, seed)));
        people
    }

    fn present(user: &User, index: usize, terms: &Terms, calendar: &Calendar, seed: u64) -> Self {
        let number = index as u64;
        let mut draw = Draw::of([seed, number, 1]);
        let kind = Self::draw_kind(user, terms, &mut draw);
        let from = time_us(user.created).clamp(calendar.begin, calendar.until);
        let mut person = Self {
            name: user.name().clone(),
            number,
            kind,
            pace: Kind::draw_pace(&mut draw),
            from,
            to: calendar.until,
            stays: terms.stays_of(user, from, &mut draw),
            last_activity: None,
            logged_in_until: None,
            keys: vec![Key::new("", Pattern::Daily, calendar)],
            home: (kind != Kind::Absent).then(|| Home::of(seed, user.name().as_str())),
            workdays: Workdays::default(),
        };
        if kind == Kind::Power {
            let first = draw.index(NAMED_SERVERS.len());
            let n_servers = 1 + draw.index(2);
            let names = NAMED_SERVERS.iter().cycle().skip(first).take(n_servers);
            let keys = names.map(|name| Key::new(name, Pattern::Named, calendar));
            person.keys.extend(keys);
        }
        person.open_servers(user, calendar);
        person
    }

    fn former(index: usize, terms: &Terms, calendar: &Calendar, seed: u64) -> Self {
        let number = index as u64;
        let mut draw = Draw::of([seed, number, 1]);
        let mut span = || draw.between(calendar.begin, calendar.until);
        let (one, other) = (span(), span());
        // Half of them were there before the history began.
        let from = if index.is_multiple_of(2) {
            calendar.begin
        } else {
            one.min(other)
        };
        let to = one.max(other).max(from + 1);
        let name = user_name(index);
        Self {
            home: Some(Home::of(seed, &name)),
            workdays: Workdays::default(),
            name: name.as_str().into(),
            number,
            kind: if draw.per_mille(300) {
                Kind::Rare
            } else {
                Kind::Student
            },
            pace: Kind::draw_pace(&mut draw),
            from,
            to,
            stays: terms.former_stays(from, to, &mut draw),
            last_activity: None,
            logged_in_until: None,
            keys: vec![Key::new("", Pattern::Daily, calendar)],
        }
    }

    fn draw_kind(user: &User, terms: &Terms, draw: &mut Draw) -> Kind {
        let Some(_) = user.last_activity else {
            return Kind::Absent;
        };
        let chance = draw.below(1000);
        match terms.most_binding_group(user) {
            _ if chance < 20 => Kind::Power,
            Some(kind) if chance < 850 => kind,
            None if chance < 300 => Kind::Staff,
            _ => Kind::Rare,
        }
    }

    fn open_servers(&mut self, user: &User, calendar: &Calendar) {
        let ready = user.servers.iter();
        for server in ready.filter(|server| server.state == ServerState::Ready) {
            let key = self.keys.iter_mut().find(|key| *key.server == *server.name);
            let started = time_us(server.started);
            let last_activity = server.last_activity.map_or(started, time_us);
            let open = Open {
                started,
                last_activity: last_activity.min(calendar.until),
                options: kept_of(&server.user_options),
                offer: Offer::chosen(&server.user_options),
            };
            match key {
                Some(key) => key.open = Some(open),
                None => self.keys.push(Key {
                    open: Some(open),
                    ..Key::new(&server.name, Pattern::Named, calendar)
                }),
            }
        }
    }

    fn can_run_long(&self, calendar: &Calendar) -> bool {
        self.kind != Kind::Absent && self.from == calendar.begin
    }
}

impl Key {
    fn new(server: &str, pattern: Pattern, calendar: &Calendar) -> Self {
        Self {
            server: server.into(),
            pattern,
            open: None,
            free_from: calendar.begin,
            held: None,
        }
    }
}

/// Three weeks in one go, and a weekend over each clock change.
fn long_run(calendar: &Calendar) -> Key {
    let middle = calendar.begin + (calendar.until - calendar.begin) / 5 * 2 + 7 * HOUR;
    let three_weeks = WrittenRun {
        from: middle,
        to: middle + LONGEST_RUN,
    };
    let changes = calendar.clock_changes().map(|change| WrittenRun {
        from: change - 9 * HOUR,
        to: change + 31 * HOUR,
    });
    let is_apart = |run: &WrittenRun| run.to < three_weeks.from || three_weeks.to + HOUR < run.from;
    let runs = changes.filter(is_apart).chain([three_weeks]);
    let is_within = |run: &WrittenRun| calendar.begin <= run.from && run.to + HOUR < calendar.until;
    let mut runs: Vec<WrittenRun> = runs.filter(is_within).collect();
    runs.sort_unstable_by_key(|run| run.from);
    Key::new(LONG_RUN, Pattern::Written(runs), calendar)
}

/// A choice as collecting keeps it.
fn kept_of(options: &serde_json::Map<String, serde_json::Value>) -> UserOptions {
    let text = serde_json::to_string(options);
    text.map_or_else(|_| UserOptions::default(), |text| UserOptions::read(&text))
}
