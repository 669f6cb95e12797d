//! How many servers ran at once, and of how many people: one sweep over their starts and ends.
//!
//! A server runs from its start on, and no longer at the moment of its end. What the days and hours of a
//! calendar are, and which sessions count, do not belong here. Moments are microseconds since 1970.

use std::collections::HashMap;
use std::ops::Range;

/// Numbers for names, so that sessions of the same person are told by a number.
#[derive(Clone, Debug, Default)]
pub struct Numbers(HashMap<Box<str>, u32>);

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Whose; see [`Numbers`].
    pub person: u32,
    /// Its start.
    pub started: i64,
    /// Its end; one that is not after the start runs at no moment.
    pub until: i64,
    /// Whether it was started then, and did not just begin to count.
    pub has_begun: bool,
}

/// A day of a calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// From its first moment to the first of the next.
    pub span: Range<i64>,
    /// The part of it that counts for how long so many ran; empty if it is not known or to come.
    pub counted: Range<i64>,
}

/// The largest number, and when there were so many first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// How many.
    pub count: u32,
    /// The first moment with so many.
    pub at: i64,
}

/// What ran on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfDay {
    /// Most servers at once; those that run at midnight count on the day that begins.
    pub servers: Peak,
    /// Most people of whom a server ran.
    pub people: Peak,
    /// Servers that were started on the day.
    pub started: u32,
    /// Most of them that were started within a time, both its ends included.
    pub started_within: u32,
}

/// For how long so many ran at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// How many.
    pub count: u32,
    /// When there were so many first; if that began before what counts, that moment of the day.
    pub at: i64,
    /// All times together; more than 0.
    pub micros: i64,
}

/// What ran in an hour, all servers and all people together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfHour {
    /// Time of servers.
    pub server_micros: i64,
    /// Time of people: two servers of one person at once count once.
    pub person_micros: i64,
}

/// All figures of a span of days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Of each day, in their order.
    pub days: Vec<OfDay>,
    /// By number of servers, ascending.
    pub servers: Vec<Level>,
    /// By number of people, ascending.
    pub people: Vec<Level>,
    /// Of each hour, in their order.
    pub hours: Vec<OfHour>,
}

impl Numbers {
    /// The number of a name: of a new one the next after those that were given.
    pub fn of(&mut self, name: &str) -> u32 {
        if let Some(number) = self.0.get(name) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(name.into(), number);
        number
    }
}

/// Sessions of a hub, in any order.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    starts: Vec<Start>,
    ends: Vec<End>,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    at: i64,
    person: u32,
    has_begun: bool,
    has_length: bool,
}

#[derive(Clone, Copy, Debug)]
struct End {
    at: i64,
    person: u32,
}

impl Sessions {
    /// Memory of each.
    pub const BYTES: usize = size_of::<Start>() + size_of::<End>();

    /// Adds one.
    pub fn add(&mut self, ran: Ran) {
        let Ran {
            person,
            started,
            until,
            has_begun,
        } = ran;
        let has_length = started < until;
        if has_length {
            self.ends.push(End { at: until, person });
        }
        self.starts.push(Start {
            at: started,
            person,
            has_begun,
            has_length,
        });
    }

    /// The figures of days that follow each other without a gap, and of the hours that begin at these
    /// moments, the end of the last one behind them. `within` is what [`OfDay::started_within`] is about.
    pub fn figures(mut self, days: &[Day], hours: &[i64], within: i64) -> Figures {
        self.starts.sort_unstable_by_key(|start| start.at);
        self.ends.sort_unstable_by_key(|end| end.at);
        let mut sweep = Sweep::new(days, hours);
        let (mut starts, mut ends) = (&self.starts[..], &self.ends[..]);
        let next = |starts: &[Start], ends: &[End]| {
            let (start, end) = (starts.first(), ends.first());
            let moments = start.map(|it| it.at).into_iter().chain(end.map(|it| it.at));
            moments.min()
        };
        while let Some(moment) = next(starts, ends) {
            sweep.stretch_until(moment);
            // What ends makes room before anything starts.
            while let [end, rest @ ..] = ends
                && end.at == moment
            {
                sweep.less(end.person);
                ends = rest;
            }
            while let [start, rest @ ..] = starts
                && start.at == moment
            {
                if start.has_length {
                    sweep.more(start.person);
                }
                starts = rest;
            }
        }
        sweep.stretch_until(i64::MAX);
        let mut figures = sweep.figures();
        self.count_starts(days, within, &mut figures.days);
        figures
    }

    fn count_starts(&self, days: &[Day], within: i64, figures: &mut [OfDay]) {
        let mut begun = self.starts.iter().filter(|start| start.has_begun);
        let mut next = begun.next();
        let mut of_day = Vec::new();
        for (day, figures) in days.iter().zip(figures) {
            of_day.clear();
            while let Some(start) = next.filter(|start| start.at < day.span.end) {
                if start.at >= day.span.start {
                    of_day.push(start.at);
                }
                next = begun.next();
            }
            figures.started = count(of_day.len());
            figures.started_within = most_within(&of_day, within);
        }
    }
}

/// The most of these ascending moments that lie within a time.
fn most_within(moments: &[i64], within: i64) -> u32 {
    let mut most = 0;
    let mut first = 0;
    for (last, moment) in moments.iter().enumerate() {
        while moments[first] < moment - within {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    count(most)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Walks from one moment to the next at which anything starts or ends.
struct Sweep<'a> {
    days: &'a [Day],
    hours: &'a [i64],
    /// What was not passed yet.
    day: usize,
    hour: usize,
    moment: i64,
    servers: u32,
    people: u32,
    servers_of: Vec<u32>,
    of_days: Vec<OfDay>,
    of_servers: Vec<Level>,
    of_people: Vec<Level>,
    of_hours: Vec<OfHour>,
}

impl<'a> Sweep<'a> {
    fn new(days: &'a [Day], hours: &'a [i64]) -> Self {
        let of_day = |day: &Day| {
            let none = Peak {
                count: 0,
                at: day.span.start,
            };
            OfDay {
                servers: none,
                people: none,
                started: 0,
                started_within: 0,
            }
        };
        Self {
            days,
            hours,
            day: 0,
            hour: 0,
            moment: i64::MIN,
            servers: 0,
            people: 0,
            servers_of: Vec::new(),
            of_days: days.iter().map(of_day).collect(),
            of_servers: Vec::new(),
            of_people: Vec::new(),
            of_hours: vec![OfHour::default(); hours.len().saturating_sub(1)],
        }
    }

    fn servers_of(&mut self, person: u32) -> &mut u32 {
        let index = person as usize;
        if index >= self.servers_of.len() {
            self.servers_of.resize(index + 1, 0);
        }
        &mut self.servers_of[index]
    }

    fn more(&mut self, person: u32) {
        let servers = self.servers_of(person);
        *servers += 1;
        let is_first = *servers == 1;
        self.servers += 1;
        self.people += u32::from(is_first);
    }

    fn less(&mut self, person: u32) {
        let servers = self.servers_of(person);
        *servers -= 1;
        let was_last = *servers == 0;
        self.servers -= 1;
        self.people -= u32::from(was_last);
    }

    /// So many ran until then.
    fn stretch_until(&mut self, until: i64) {
        let from = std::mem::replace(&mut self.moment, until);
        while let Some(day) = self.days.get(self.day) {
            if day.span.start < until && from < day.span.end {
                self.on_day(from.max(day.span.start)..until.min(day.span.end));
            }
            if until < day.span.end {
                break;
            }
            self.day += 1;
        }
        while let [start, end, ..] = self.hours[self.hour.min(self.hours.len())..] {
            let micros = until.min(end).saturating_sub(from.max(start)).max(0);
            let of_hour = &mut self.of_hours[self.hour];
            of_hour.server_micros += micros * i64::from(self.servers);
            of_hour.person_micros += micros * i64::from(self.people);
            if until < end {
                break;
            }
            self.hour += 1;
        }
    }

    fn on_day(&mut self, stretch: Range<i64>) {
        let counted = &self.days[self.day].counted;
        let micros = stretch.end.min(counted.end) - stretch.start.max(counted.start);
        let of_day = &mut self.of_days[self.day];
        let at = stretch.start;
        for (count, peak, levels) in [
            (self.servers, &mut of_day.servers, &mut self.of_servers),
            (self.people, &mut of_day.people, &mut self.of_people),
        ] {
            if count > peak.count {
                *peak = Peak { count, at };
            }
            if micros > 0 {
                lasted(levels, Level { count, at, micros });
            }
        }
    }

    fn figures(self) -> Figures {
        let levels = |mut levels: Vec<Level>| {
            levels.retain(|level| level.micros > 0);
            levels
        };
        Figures {
            days: self.of_days,
            servers: levels(self.of_servers),
            people: levels(self.of_people),
            hours: self.of_hours,
        }
    }
}

/// Adds a time to those of its level; they come in their order.
fn lasted(levels: &mut Vec<Level>, more: Level) {
    let index = more.count as usize;
    while levels.len() <= index {
        let (count, at, micros) = (count(levels.len()), 0, 0);
        levels.push(Level { count, at, micros });
    }
    let level = &mut levels[index];
    if level.micros == 0 {
        level.at = more.at;
    }
    level.micros += more.micros;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 100;

    fn ran(person: u32, started: i64, until: i64) -> Ran {
        Ran {
            person,
            started,
            until,
            has_begun: true,
        }
    }

    /// Two days of 100 moments, from 0 on; hours of 10; all known.
    fn days() -> Vec<Day> {
        let day = |start| Day {
            span: start..start + DAY,
            counted: start..start + DAY,
        };
        vec![day(0), day(DAY)]
    }

    fn hours() -> Vec<i64> {
        (0..=20).map(|hour| hour * 10).collect()
    }

    fn figures(sessions: &[Ran]) -> Figures {
        let mut all = Sessions::default();
        for ran in sessions {
            all.add(*ran);
        }
        all.figures(&days(), &hours(), 10)
    }

    #[test]
    fn a_server_that_starts_when_another_ends_does_not_run_beside_it() {
        let found = figures(&[ran(0, 5, 20), ran(1, 20, 30), ran(1, 20, 20)]);
        assert_eq!(found.days[0].servers, Peak { count: 1, at: 5 });
        assert_eq!(found.days[0].started, 3);
    }

    #[test]
    fn two_servers_of_one_person_count_once_among_people() {
        let found = figures(&[ran(7, 5, 30), ran(7, 10, 20), ran(7, 30, 40)]);
        assert_eq!(found.days[0].servers, Peak { count: 2, at: 10 });
        assert_eq!(found.days[0].people, Peak { count: 1, at: 5 });
        let of_people = [(0, 165), (1, 35)];
        let found = found.people.iter().map(|level| (level.count, level.micros));
        assert!(found.eq(of_people));
    }

    #[test]
    fn what_runs_at_midnight_counts_on_both_days() {
        let found = figures(&[ran(0, 90, 105), ran(1, -50, -10)]);
        assert_eq!(found.days[0].servers, Peak { count: 1, at: 90 });
        assert_eq!(found.days[1].servers, Peak { count: 1, at: 100 });
        assert_eq!((found.days[0].started, found.days[1].started), (1, 0));
        // It ends at midnight sharp: nothing ran on the day that begins.
        let found = figures(&[ran(0, 90, 100)]);
        assert_eq!(found.days[1].servers, Peak { count: 0, at: 100 });
    }

    #[test]
    fn starts_that_are_exactly_so_far_apart_are_within_the_time() {
        let starts = |moments: &[i64]| {
            let all: Vec<Ran> = moments.iter().map(|at| ran(0, *at, at + 1)).collect();
            figures(&all).days[0].started_within
        };
        assert_eq!(starts(&[0, 10, 20]), 2);
        assert_eq!(starts(&[0, 11, 22]), 1);
        assert_eq!(starts(&[3, 3, 13, 14]), 3);
        // Those of another day and those that only begin to count do not count.
        assert_eq!(starts(&[95, 99, 101]), 2);
        let later = Ran {
            has_begun: false,
            ..ran(0, 1, 5)
        };
        assert_eq!(figures(&[later, ran(0, 2, 5)]).days[0].started_within, 1);
    }

    #[test]
    fn only_what_counts_lasts() {
        let mut days = days();
        days[0].counted = 40..100;
        days[1].counted = 0..0;
        let mut all = Sessions::default();
        all.add(ran(0, 30, 50));
        all.add(ran(1, 90, 150));
        let found = all.figures(&days, &hours(), 10);
        let level = |count, at, micros| Level { count, at, micros };
        assert_eq!(found.servers, [level(0, 50, 40), level(1, 30, 20)]);
        assert_eq!(found.days[1].servers, Peak { count: 1, at: 100 });
    }

    proptest! {
        /// Each moment for itself.
        #[test]
        fn the_sweep_finds_what_counting_each_moment_finds(
            sessions in proptest::collection::vec((0u32..4, -30i64..230, 0i64..90), 0..30),
        ) {
            let sessions: Vec<Ran> = sessions
                .into_iter()
                .map(|(person, started, length)| ran(person, started, started + length))
                .collect();
            let found = figures(&sessions);
            let at = |moment: i64| {
                let running = sessions.iter().filter(|it| it.started <= moment && moment < it.until);
                let mut people: Vec<u32> = running.map(|it| it.person).collect();
                let servers = people.len();
                people.sort_unstable();
                people.dedup();
                (count(servers), count(people.len()))
            };
            for (number, day) in days().iter().enumerate() {
                let all: Vec<(u32, u32)> = day.span.clone().map(at).collect();
                let first = |pick: &dyn Fn(&(u32, u32)) -> u32| {
                    let most = all.iter().map(pick).max().unwrap_or(0);
                    let index = all.iter().position(|it| pick(it) == most).unwrap_or(0);
                    Peak { count: most, at: day.span.start + i64::try_from(index).unwrap_or(0) }
                };
                prop_assert_eq!(found.days[number].servers, first(&|it| it.0));
                prop_assert_eq!(found.days[number].people, first(&|it| it.1));
            }
            for (levels, pick) in [
                (&found.servers, (|it: (u32, u32)| it.0) as fn((u32, u32)) -> u32),
                (&found.people, |it| it.1),
            ] {
                let all: Vec<u32> = (0..2 * DAY).map(|moment| pick(at(moment))).collect();
                for level in levels {
                    let lasted = all.iter().filter(|it| **it == level.count).count();
                    let first = all.iter().position(|it| *it == level.count);
                    prop_assert_eq!(level.micros, i64::try_from(lasted).unwrap_or(0));
                    prop_assert_eq!(Some(level.at), first.and_then(|it| i64::try_from(it).ok()));
                }
                let sum: i64 = levels.iter().map(|level| level.micros).sum();
                prop_assert_eq!(sum, 2 * DAY);
            }
            for (hour, found) in hours().iter().zip(&found.hours) {
                let all = (*hour..hour + 10).map(at);
                let sums = all.fold((0, 0), |sums, it| (sums.0 + i64::from(it.0), sums.1 + i64::from(it.1)));
                prop_assert_eq!((found.server_micros, found.person_micros), sums);
            }
        }
    }
}
