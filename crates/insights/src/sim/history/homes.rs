//! Homes at the end of each day: they grow on the days on which their users' servers run.

use super::History;
use super::calendar::{MINUTE, timestamp};
use crate::sim::draw::Draw;
use crate::sources::HomeSize;
use jiff::Timestamp;
use jiff::civil::Date;
use std::ops::{Range, RangeInclusive};

/// A home at the end of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct HomeDay {
    /// The day.
    pub day: Date,
    /// When it was looked at.
    pub at: Timestamp,
    /// How large it was.
    pub size: HomeSize,
}

/// Days of a month on which somebody's servers ran, as indices of the calendar.
#[derive(Debug, Default)]
pub(super) struct Workdays {
    first: usize,
    /// A bit for each day of the month.
    marks: u64,
    /// The last one of all months.
    last: Option<usize>,
}

impl Workdays {
    /// A month begins. A run of an earlier one may reach into it.
    pub(super) fn turn(&mut self, days: &Range<usize>) {
        self.first = days.start;
        self.marks = 0;
        if let Some(last) = self.last {
            self.mark(days.start..=last);
        }
    }

    /// Servers ran on these days, of which some may be in months to come.
    pub(super) fn mark(&mut self, days: RangeInclusive<usize>) {
        self.last = self.last.max(Some(*days.end()));
        for day in days {
            self.marks |= self.bit(day);
        }
    }

    fn contains(&self, day: usize) -> bool {
        self.marks & self.bit(day) != 0
    }

    /// None for days out of reach.
    fn bit(&self, day: usize) -> u64 {
        let index = day.checked_sub(self.first);
        let index = index.and_then(|index| u32::try_from(index).ok());
        index
            .and_then(|index| 1_u64.checked_shl(index))
            .unwrap_or(0)
    }
}

impl History {
    /// Homes of these users on the days of the month that are over. To be asked once for each month
    /// and user, after [`Self::servers`] was.
    pub fn homes(&mut self, month: usize, users: Range<usize>) -> Vec<HomeDay> {
        let n_over = self.calendar.days.len() - 1;
        let days = self.months[month].days.clone();
        let days = days.start..days.end.min(n_over);
        let mut homes = Vec::with_capacity(users.len() * days.len());
        for person in &mut self.people[users] {
            let Some(home) = &mut person.home else {
                continue;
            };
            for index in days.clone() {
                let day = &self.calendar.days[index];
                if person.workdays.contains(index) {
                    let seed = [self.seed, person.number, 22, index as u64];
                    home.work_for_a_day(&mut Draw::of(seed));
                }
                let is_there = person.from < day.end && day.end <= person.to;
                let looked = self.incidents.last_look(day.start, day.end - MINUTE);
                if let Some(at) = looked.filter(|_| is_there) {
                    homes.push(HomeDay {
                        day: day.day.date(),
                        at: timestamp(at),
                        size: home.size(&person.name),
                    });
                }
            }
        }
        homes
    }
}
