//! Terms: who is in which course when, and in which lab.

use super::calendar::{Calendar, DAY, HOUR, LocalDay, MINUTE, Season};
use super::habits::Kind;
use crate::sim::draw::Draw;
use crate::sim::{User, World};
use jiff::civil::{Date, Weekday};
use model::names::GroupName;
use std::collections::HashMap;

/// Courses may be joined for so long …
const ENROLMENT_DAYS: i64 = 12;
/// … and so long before the next may be joined, the last are emptied.
const DAYS_BETWEEN_TERMS: i64 = 7;

/// Groups, and when courses change.
#[derive(Debug)]
pub(super) struct Terms {
    groups: HashMap<GroupName, Offer>,
    courses: Vec<Offer>,
    labs: Vec<Offer>,
    /// First moments of the terms' enrolments, the running term's last.
    enrolments: Vec<i64>,
    begin: i64,
    until: i64,
}

/// A group that people may be in.
#[derive(Clone, Debug)]
struct Offer {
    name: GroupName,
    number: usize,
    bond: Bond,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bond {
    Other,
    Course,
    Staff,
    Lab,
}

/// Time that somebody was in a group.
#[derive(Clone, Debug)]
pub(super) struct Stay {
    pub(super) group: GroupName,
    pub(super) from: i64,
    /// `None`: still in it.
    pub(super) to: Option<i64>,
    class: Option<Class>,
}

/// The weekly meeting of a course.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    weekday: Weekday,
    pub(super) clock: i64,
}

impl Terms {
    pub(super) fn new(world: &World, calendar: &Calendar) -> Self {
        let offers = world.groups().iter().enumerate();
        let offers: Vec<Offer> = offers
            .filter(|(_, group)| !group.members.is_empty())
            .map(|(number, group)| Offer {
                name: group.name().clone(),
                number,
                bond: Bond::of(group.name().as_str()),
            })
            .collect();
        let with = |bond| {
            let offers = offers
                .iter()
                .filter(move |offer: &&Offer| offer.bond == bond);
            offers.cloned().collect()
        };
        Self {
            courses: with(Bond::Course),
            labs: with(Bond::Lab),
            enrolments: enrolments(calendar),
            begin: calendar.begin,
            until: calendar.until,
            groups: offers
                .into_iter()
                .map(|offer| (offer.name.clone(), offer))
                .collect(),
        }
    }

    /// What a user's groups say about their habits.
    pub(super) fn most_binding_group(&self, user: &User) -> Option<Kind> {
        let offers = user.groups.iter().filter_map(|name| self.groups.get(name));
        match offers.map(|offer| offer.bond).max()? {
            Bond::Lab => Some(Kind::Lab),
            Bond::Staff => Some(Kind::Staff),
            Bond::Course => Some(Kind::Student),
            Bond::Other => None,
        }
    }

    /// The groups that the user is in now, and those of earlier terms, since `from`.
    pub(super) fn stays_of(&self, user: &User, from: i64, draw: &mut Draw) -> Vec<Stay> {
        let mut stays: Vec<Stay> = Vec::new();
        let offers = user.groups.iter().filter_map(|name| self.groups.get(name));
        for offer in offers.clone() {
            let joined = match (offer.bond, self.enrolments.last()) {
                (Bond::Course, Some(&enrolment)) => draw_enrolment(enrolment, draw),
                _ if draw.per_mille(150) => draw.between(self.begin, self.until),
                _ => from,
            };
            stays.push(offer.stay(joined.max(from), None));
        }
        let n_courses = offers.filter(|offer| offer.bond == Bond::Course).count();
        self.add_earlier_courses(&mut stays, n_courses, draw);
        let is_in_lab = stays
            .iter()
            .any(|stay| Bond::of(stay.group.as_str()) == Bond::Lab);
        if is_in_lab && draw.per_mille(80) {
            let moved = draw.between(self.begin, self.until);
            self.add_other(&mut stays, &self.labs, self.begin, moved, draw);
        }
        clipped(stays, from, self.until)
    }

    /// One course in each term.
    pub(super) fn former_stays(&self, from: i64, to: i64, draw: &mut Draw) -> Vec<Stay> {
        let mut stays = Vec::new();
        self.add_earlier_courses(&mut stays, 1, draw);
        if let Some(&enrolment) = self.enrolments.last() {
            let joined = draw_enrolment(enrolment, draw);
            self.add_other(&mut stays, &self.courses, joined, self.until, draw);
        }
        let mut stays = clipped(stays, from, to);
        for stay in &mut stays {
            stay.to = Some(stay.to.map_or(to, |left| left.min(to)));
        }
        stays
    }

    fn add_earlier_courses(&self, stays: &mut Vec<Stay>, n_courses: usize, draw: &mut Draw) {
        for term in self.enrolments.windows(2) {
            let emptied = term[1] - DAYS_BETWEEN_TERMS * DAY;
            if emptied <= self.begin {
                continue;
            }
            for _ in 0..n_courses {
                let joined = draw_enrolment(term[0], draw);
                self.add_other(stays, &self.courses, joined, emptied, draw);
            }
        }
    }

    /// Adds a stay in one of the groups that the user is not in at any other time, if there is one.
    fn add_other(
        &self,
        stays: &mut Vec<Stay>,
        offers: &[Offer],
        from: i64,
        to: i64,
        draw: &mut Draw,
    ) {
        if offers.is_empty() {
            return;
        }
        let offer = &offers[draw.small_index(offers.len())];
        // Each course is emptied in one go, one after the other.
        let minutes = i64::try_from(offer.number % 480).unwrap_or_default();
        if stays.iter().all(|stay| stay.group != offer.name) {
            stays.push(offer.stay(from, Some((to + minutes * MINUTE).min(self.until))));
        }
    }
}

impl Bond {
    fn of(name: &str) -> Self {
        if name.starts_with("course::") {
            Self::Course
        } else if name.starts_with("lab-") {
            Self::Lab
        } else if name.contains("-staff-") {
            Self::Staff
        } else {
            Self::Other
        }
    }
}

impl Offer {
    fn stay(&self, from: i64, to: Option<i64>) -> Stay {
        Stay {
            group: self.name.clone(),
            from,
            to,
            class: (self.bond == Bond::Course).then(|| Class::of(self.number)),
        }
    }
}

impl Class {
    fn of(course: usize) -> Self {
        const WEEKDAYS: [Weekday; 5] = [
            Weekday::Tuesday,
            Weekday::Monday,
            Weekday::Thursday,
            Weekday::Wednesday,
            Weekday::Friday,
        ];
        const HOURS: [i64; 4] = [10, 14, 8, 16];
        Self {
            weekday: WEEKDAYS[course % 5],
            clock: HOURS[course / 5 % 4] * HOUR,
        }
    }
}

impl Stay {
    /// The class of the course on this day.
    pub(super) fn class_on(&self, day: &LocalDay) -> Option<Class> {
        let is_member = self.from <= day.start && self.to.is_none_or(|to| day.start < to);
        let class = self
            .class
            .filter(|_| is_member && day.season == Season::Lectures);
        class.filter(|class| class.weekday == day.weekday)
    }
}

/// Enrolments from the term before the history to the last one that is over.
fn enrolments(calendar: &Calendar) -> Vec<i64> {
    let Some((first, last)) = calendar.days.first().zip(calendar.days.last()) else {
        return Vec::new();
    };
    let years = first.day.date().year() - 1..=last.day.date().year();
    let dates = years.flat_map(|year| [(year, 4), (year, 10)]);
    let dates = dates.filter_map(|(year, month)| Date::new(year, month, 8).ok());
    let enrolments = dates.map(|date| calendar.moment(date, 8 * HOUR));
    let is_over = |&enrolment: &i64| enrolment + (ENROLMENT_DAYS + 1) * DAY < calendar.until;
    enrolments.filter(is_over).collect()
}

fn draw_enrolment(first: i64, draw: &mut Draw) -> i64 {
    let day = draw.small_index(usize::try_from(ENROLMENT_DAYS).unwrap_or_default());
    first + i64::try_from(day).unwrap_or_default() * DAY + draw.between(0, 10 * HOUR)
}

/// The stays as far as they lie within this time.
fn clipped(stays: Vec<Stay>, from: i64, to: i64) -> Vec<Stay> {
    let stays = stays.into_iter().map(|stay| Stay {
        from: stay.from.max(from),
        ..stay
    });
    let some = stays.filter(|stay| stay.from < stay.to.unwrap_or(to).min(to));
    some.collect()
}
