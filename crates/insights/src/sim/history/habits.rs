//! Habits: how often, when and for how long each kind of person runs servers.
//!
//! All numbers were chosen so that the whole looks like a university's hub: about 150 sessions a
//! year for each user, most of them from few people.

use super::calendar::{HOUR, LocalDay, MINUTE, Season};
use crate::sim::draw::Draw;

/// How somebody uses the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Has never come.
    Absent,
    /// Looks in now and then.
    Rare,
    /// Follows courses.
    Student,
    /// Works in an office.
    Staff,
    /// Lets things run for hours in a lab.
    Lab,
    /// Uses all there is, also named servers that run for days.
    Power,
}

/// How much more or less than others of their kind, in thousandths: few people use very much.
const PACES: &[i64] = &[120, 300, 450, 600, 750, 900, 1100, 1400, 1900, 4200];

const NIGHT_OWL: [u64; 24] = [
    3, 2, 1, 1, 0, 0, 1, 3, 10, 16, 18, 16, 12, 16, 20, 19, 17, 13, 11, 12, 14, 13, 9, 5,
];
const OFFICE: [u64; 24] = [
    0, 0, 0, 0, 0, 0, 2, 12, 25, 26, 18, 12, 9, 17, 18, 13, 8, 4, 2, 1, 1, 1, 0, 0,
];
const LAB: [u64; 24] = [
    1, 1, 0, 0, 0, 0, 1, 4, 12, 18, 17, 14, 9, 14, 16, 16, 15, 13, 9, 5, 4, 4, 3, 2,
];

impl Kind {
    pub(super) fn draw_pace(draw: &mut Draw) -> u64 {
        draw.quantile(PACES).cast_unsigned()
    }

    /// Runs of the default server on such a day, in thousandths, at the pace of 1000.
    pub(super) fn runs_on(self, day: &LocalDay) -> u64 {
        let per_weekday = match self {
            Self::Absent => return 0,
            Self::Rare => 60,
            Self::Student => 1320,
            Self::Staff => 1000,
            Self::Lab => 980,
            Self::Power => 1900,
        };
        let season = match (self, day.season) {
            (Self::Student, Season::Exams) => 1600,
            (Self::Student, Season::Break) => 170,
            (Self::Student, Season::Holidays) => 80,
            (Self::Staff, Season::Holidays) => 120,
            (Self::Staff, Season::Break) => 800,
            (_, Season::Holidays) => 400,
            _ => 1000,
        };
        let weekday = match (self, day.is_weekend()) {
            (_, false) => 1000,
            (Self::Student, true) if day.season == Season::Exams => 550,
            (Self::Student | Self::Rare, true) => 260,
            (Self::Staff, true) => 50,
            (_, true) => 280,
        };
        per_weekday * season / 1000 * weekday / 1000
    }

    /// Runs of each named server on such a day, in thousandths.
    pub(super) fn named_runs_on(self, day: &LocalDay) -> u64 {
        match (self, day.season) {
            (Self::Absent, _) => 0,
            (Self::Power, Season::Holidays) => 90,
            (Self::Power, _) => 180,
            _ => 25,
        }
    }

    /// What the clock shows when a run starts.
    pub(super) fn draw_clock(self, draw: &mut Draw) -> i64 {
        let weights = match self {
            Self::Absent | Self::Rare | Self::Student => &NIGHT_OWL,
            Self::Staff => &OFFICE,
            Self::Lab | Self::Power => &LAB,
        };
        let hour = i64::try_from(draw.weighted(weights)).unwrap_or_default();
        hour * HOUR + draw.between(0, HOUR)
    }

    /// From the start of a run to the last activity.
    pub(super) fn draw_work(self, draw: &mut Draw) -> i64 {
        let minutes: &[i64] = match self {
            Self::Absent | Self::Rare => &[3, 8, 15, 25, 40, 60, 110],
            Self::Student => &[4, 15, 30, 50, 75, 100, 150, 290],
            Self::Staff => &[8, 35, 80, 140, 220, 300, 390, 520],
            Self::Lab => &[15, 50, 150, 300, 480, 700, 1100, 2300],
            Self::Power => &[20, 90, 200, 330, 460, 560, 690, 840],
        };
        draw.quantile(minutes) * MINUTE + draw.between(0, MINUTE)
    }

    /// The same for named servers.
    pub(super) fn draw_named_work(draw: &mut Draw) -> i64 {
        let hours = draw.quantile(&[5, 11, 20, 30, 48, 70, 110, 150]);
        hours * HOUR + draw.between(0, HOUR)
    }

    /// The profile of a default server.
    pub(super) fn draw_profile(self, draw: &mut Draw) -> usize {
        let weights: [u64; 4] = match self {
            Self::Absent | Self::Rare | Self::Student => [80, 17, 2, 1],
            Self::Staff => [45, 40, 13, 2],
            Self::Lab => [10, 40, 35, 15],
            Self::Power => [5, 25, 45, 25],
        };
        draw.weighted(&weights)
    }
}
