//! What befell the hub and its observer: restarts, a day and some hours without collection, drained
//! nodes, troubles with starting; and the moments at which polls could look.

use super::calendar::{Calendar, DAY, HOUR, MINUTE, SECOND};
use crate::sim::draw::Draw;

const POLL_INTERVAL: i64 = MINUTE;
/// Polls are not exactly on time.
const LONGEST_DELAY: u64 = 400_000;
/// Before its process started anew the hub did not answer for so long …
const DOWN_BEFORE: i64 = 20 * SECOND;
/// … and after it for so long.
const DOWN_AFTER: i64 = 15 * SECOND;

/// What happened to everybody at once.
#[derive(Debug)]
pub(super) struct Incidents {
    /// When the hub's process started anew.
    pub(super) restarts: Vec<i64>,
    pub(super) outages: Vec<Outage>,
    /// When nodes were drained, which evicts large servers.
    pub(super) drains: Vec<i64>,
    pub(super) troubles: Vec<Trouble>,
    /// Since when hooks in the hub tell what happens in it: they came with its last restart, or
    /// were there from the beginning.
    pub(super) hooked_from: i64,
}

/// Time in which many servers did not start, and the others started late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) cause: TroubleCause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TroubleCause {
    /// The cloud gave no nodes.
    NoNodes,
    /// Images could not be pulled.
    NoImages,
}

/// Time in which nobody looked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// Time in which somebody looked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Incidents {
    pub(super) fn draw(calendar: &Calendar, seed: u64) -> Self {
        let mut draw = Draw::of([seed, 0x1_c1de]);
        let n_days = calendar.days.len().saturating_sub(1);
        let mut moments = |n_a_year: usize, phase: usize, hour: i64| -> Vec<i64> {
            let n = (n_days * n_a_year + 182) / 365;
            let days = (0..n).map(|index| (4 * index + phase) * n_days / (4 * n));
            let moments = days.map(|day| {
                let minutes = draw.between(0, 80);
                calendar.days[day].moment(hour * HOUR + minutes * MINUTE + 12_345_678)
            });
            moments.collect()
        };
        let outages = moments(2, 1, 13);
        let outages = outages.iter().enumerate();
        let outages = outages.map(|(index, &from)| match index % 2 {
            0 => Outage::of_hours(from),
            _ => Outage::over_a_day(from, calendar),
        });
        let restarts = moments(2, 2, 11);
        let drains = moments(8, 3, 14);
        let troubles = moments(9, 2, 9).into_iter().enumerate();
        let troubles = troubles.map(|(index, at)| Trouble::new(index, at, calendar));
        Self {
            hooked_from: restarts.last().copied().unwrap_or(calendar.begin),
            restarts,
            drains,
            troubles: troubles.collect(),
            outages: outages.collect(),
        }
    }

    /// The trouble at this time.
    pub(super) fn trouble_at(&self, at: i64) -> Option<&Trouble> {
        let mut troubles = self.troubles.iter();
        troubles.find(|trouble| (trouble.from..trouble.to).contains(&at))
    }

    /// The trouble in a part of this time.
    pub(super) fn trouble_in(&self, from: i64, to: i64) -> Option<&Trouble> {
        let mut troubles = self.troubles.iter();
        troubles.find(|trouble| trouble.from < to && from < trouble.to)
    }

    /// The restart within this time.
    pub(super) fn restart_in(&self, from: i64, to: i64) -> Option<i64> {
        let mut restarts = self.restarts.iter().copied();
        restarts.find(|&restart| from < restart && restart <= to)
    }

    /// While the hub is down nobody starts or stops anything: when it is back.
    pub(super) fn after_downtime(&self, at: i64) -> i64 {
        let is_down = |restart: i64| (restart - 2 * MINUTE..restart + MINUTE).contains(&at);
        let mut restarts = self.restarts.iter().copied();
        let down = restarts.find(|&restart| is_down(restart));
        down.map_or(at, |restart| at.max(restart + 2 * MINUTE))
    }

    /// Whether nobody looked for a part of this time.
    pub(super) fn is_outage_in(&self, from: i64, to: i64) -> bool {
        let mut outages = self.outages.iter();
        outages.any(|outage| outage.from < to && from < outage.to)
    }

    /// What somebody watched of an hour or less: outages are longer and far apart, so it is in one
    /// piece.
    pub(super) fn watched(&self, from: i64, to: i64) -> Option<Watched> {
        let mut watched = Watched { from, to };
        for outage in &self.outages {
            if outage.from <= watched.from {
                watched.from = watched.from.max(outage.to.min(to));
            } else {
                watched.to = watched.to.min(outage.from);
            }
        }
        (watched.from < watched.to).then_some(watched)
    }

    /// The last moment of a time at which somebody could look, if there is one: also the end.
    pub(super) fn last_look(&self, from: i64, end: i64) -> Option<i64> {
        let mut outages = self.outages.iter();
        let missed = outages.find(|outage| (outage.from..outage.to).contains(&end));
        let last = missed.map_or(end, |outage| outage.from - MINUTE);
        (from <= last).then_some(last)
    }

    /// Whether nobody looked at this time.
    pub(super) fn is_outage(&self, at: i64) -> bool {
        let mut outages = self.outages.iter();
        outages.any(|outage| (outage.from..outage.to).contains(&at))
    }
}

impl Trouble {
    /// On a working day, since nobody would notice it at a weekend.
    fn new(index: usize, at: i64, calendar: &Calendar) -> Self {
        let day = calendar.day_index(at);
        let from = if calendar.days[day].is_weekend() {
            at + 2 * DAY
        } else {
            at
        };
        let (cause, length) = match index % 2 {
            0 => (TroubleCause::NoNodes, 75 * MINUTE),
            _ => (TroubleCause::NoImages, 140 * MINUTE),
        };
        Self {
            from,
            to: from + length,
            cause,
        }
    }
}

impl Outage {
    fn of_hours(from: i64) -> Self {
        Self {
            from,
            to: from + 3 * HOUR,
        }
    }

    /// From the evening until the morning of the day after the next: a day of which nothing is
    /// known. Shorter where the history ends before.
    fn over_a_day(noon: i64, calendar: &Calendar) -> Self {
        let from = noon + 8 * HOUR;
        let morning = calendar.days.get(calendar.day_index(noon) + 2);
        let morning = morning.map(|day| day.moment(8 * HOUR + 17 * MINUTE));
        let to = morning.filter(|&to| to < calendar.until - HOUR);
        Self {
            from,
            to: to.unwrap_or(from + 2 * HOUR),
        }
    }
}

/// When the service looked: once a minute, where the hub answered and the service ran.
#[derive(Debug)]
pub(super) struct Polls {
    begin: i64,
    until: i64,
    seed: u64,
    gaps: Vec<Outage>,
}

impl Polls {
    pub(super) fn new(calendar: &Calendar, incidents: &Incidents, seed: u64) -> Self {
        let downtimes = incidents.restarts.iter().map(|&restart| Outage {
            from: restart - DOWN_BEFORE,
            to: restart + DOWN_AFTER,
        });
        let mut gaps: Vec<Outage> = incidents.outages.iter().copied().chain(downtimes).collect();
        gaps.sort_unstable_by_key(|gap| gap.from);
        Self {
            begin: calendar.begin,
            until: calendar.until,
            seed,
            gaps,
        }
    }

    /// When poll number `index` looked, or would have.
    pub(super) fn time(&self, index: i64) -> i64 {
        let delay = Draw::of([self.seed, index.cast_unsigned()]).below(LONGEST_DELAY);
        self.begin + index * POLL_INTERVAL + delay.cast_signed()
    }

    /// Number of the poll at this time, if it took place.
    pub(super) fn index_of(&self, poll: i64) -> i64 {
        (poll - self.begin).div_euclid(POLL_INTERVAL)
    }

    /// The first poll later than `at`. The last one of all is in the present.
    pub(super) fn after(&self, at: i64) -> i64 {
        let mut poll = self.next_time(at);
        for gap in &self.gaps {
            if (gap.from..gap.to).contains(&poll) {
                poll = self.next_time(gap.to);
            }
        }
        if at < self.until {
            poll.min(self.until)
        } else {
            poll
        }
    }

    /// The last poll not later than `at`.
    pub(super) fn before(&self, at: i64) -> i64 {
        let mut poll = self.last_time(at);
        for gap in self.gaps.iter().rev() {
            if (gap.from..gap.to).contains(&poll) {
                poll = self.last_time(gap.from - 1);
            }
        }
        poll
    }

    /// Whether a poll of this time took place.
    pub(super) fn took_place(&self, poll: i64) -> bool {
        let mut gaps = self.gaps.iter();
        poll <= self.until && !gaps.any(|gap| (gap.from..gap.to).contains(&poll))
    }

    fn next_time(&self, at: i64) -> i64 {
        let index = self.index_of(at);
        let poll = self.time(index);
        if poll > at {
            poll
        } else {
            self.time(index + 1)
        }
    }

    fn last_time(&self, at: i64) -> i64 {
        let index = self.index_of(at);
        let poll = self.time(index);
        if poll <= at {
            poll
        } else {
            self.time(index - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    #[test]
    fn polls_enclose_every_moment_and_leave_out_the_gaps() {
        let until = "2026-11-20T12:00:00Z".parse().unwrap();
        let calendar = Calendar::new(365, &TimeZone::get("Europe/Berlin").unwrap(), until);
        let incidents = Incidents::draw(&calendar, 1);
        let (n_restarts, n_outages) = (incidents.restarts.len(), incidents.outages.len());
        assert_eq!((n_restarts, n_outages, incidents.drains.len()), (2, 2, 8));
        let polls = Polls::new(&calendar, &incidents, 1);
        let mut at = calendar.begin + HOUR;
        while at < calendar.until {
            let (before, after) = (polls.before(at), polls.after(at));
            assert!(before <= at && at < after);
            assert!(polls.took_place(before) && polls.took_place(after));
            let is_gap = after - before > 3 * POLL_INTERVAL;
            assert_eq!(is_gap, incidents.is_outage_in(before, after));
            at += 29 * SECOND * 7;
        }
    }
}
