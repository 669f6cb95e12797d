//! How the places of an axis are named: all of them, where there is room, and else so many that
//! their names do not touch.

use super::Axis;
use super::calendar::{self, CalendarTick, Grain, Step};
use super::number;
use super::places::{Places, Room, every, float};
use super::scale::{Range, Scale, Tick};
use super::text::{self, Cut};
use super::unit::Unit;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};

/// A place that is named.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    pub(super) at: f64,
    pub(super) label: Cut,
    /// What is said only where it changes; may be empty.
    pub(super) context: String,
}

impl Named {
    fn tick(at: f64, tick: CalendarTick) -> Self {
        let label = text::cut(&tick.label, text::SMALL, 200.0);
        let context = tick.context;
        Self { at, label, context }
    }
}

impl Axis {
    /// Their values where they have any: days, seconds or numbers.
    pub(super) fn values(&self) -> Option<Vec<f64>> {
        match self {
            Self::Categories(_) => None,
            Self::Numbers(numbers) => {
                let is_finite = numbers.iter().all(|number| number.is_finite());
                is_finite.then(|| numbers.clone())
            }
            Self::Days(days) => {
                let day = |at: &Date| at.to_datetime(Time::midnight());
                Some(days.iter().map(|at| day_number(day(at))).collect())
            }
            Self::Moments { at, .. } => {
                let seconds = |at: &Timestamp| at.as_duration().as_secs_f64();
                Some(at.iter().map(seconds).collect())
            }
        }
    }

    /// The name of a point where there is room for all of it.
    pub(super) fn name(&self, i: usize) -> String {
        self.names(std::iter::once(i)).pop().unwrap_or_default()
    }

    /// The names of points where there is room for all of them.
    pub(super) fn names(&self, points: impl Iterator<Item = usize>) -> Vec<String> {
        match self {
            Self::Categories(names) => points.map(|i| names[i].clone()).collect(),
            Self::Numbers(numbers) => points.map(|i| name_of(numbers[i])).collect(),
            Self::Days(days) => {
                let grain = Grain::of(days);
                points.map(|i| grain.name(days[i])).collect()
            }
            Self::Moments { at, zone } => {
                let to_the_second = at.iter().any(|at| at.as_second() % 60 != 0);
                let format = if to_the_second { "%F %T" } else { "%F %H:%M" };
                let local = |i: usize| at[i].to_zoned(zone.clone());
                points
                    .map(|i| local(i).strftime(format).to_string())
                    .collect()
            }
        }
    }

    /// Which places are named on an axis of this width; names do not touch each other.
    pub(super) fn named(&self, places: &Places, room: Room) -> Vec<Named> {
        let named = match self {
            Self::Categories(names) => some_names(names, places),
            Self::Numbers(numbers) => some_numbers(numbers, places, room.width()),
            Self::Days(_) | Self::Moments { .. } => self.some_moments(places, room.width()),
        };
        apart(named)
    }

    fn some_moments(&self, places: &Places, width: f64) -> Vec<Named> {
        let grain = match self {
            Self::Days(days) => Grain::of(days).step(),
            _ => Step::Seconds(1),
        };
        let all_fit = grain.room_px() * float(self.len()) <= width.max(grain.room_px());
        if self.len() == 1 || (all_fit && matches!(self, Self::Days(_))) {
            return self.every_moment(places, grain);
        }
        let calendar = self.calendar(places, width, grain);
        if calendar.len() > 1 {
            return calendar;
        }
        let mut ends = self.every_moment(places, grain.max(Step::Minutes(1)));
        if ends.len() > 2 {
            ends.drain(1..places.len() - 1);
        }
        ends
    }

    fn every_moment(&self, places: &Places, step: Step) -> Vec<Named> {
        let moments = (0..self.len()).filter_map(|i| self.moment(i));
        let named = moments.zip(&places.centres);
        named
            .map(|(moment, at)| Named::tick(*at, step.tick(moment)))
            .collect()
    }

    /// Where the calendar's own steps are.
    fn calendar(&self, places: &Places, width: f64, finest: Step) -> Vec<Named> {
        let (Some(values), Some(last)) = (self.values(), self.len().checked_sub(1)) else {
            return Vec::new();
        };
        let (Some(start), Some(end)) = (self.moment(0), self.moment(last)) else {
            return Vec::new();
        };
        let ticks = calendar::ticks(start, end, width, finest).into_iter();
        let place = |tick: CalendarTick| {
            let at = places.between(&values, self.value_of(tick.at)?)?;
            Some(Named::tick(at, tick))
        };
        ticks.filter_map(place).collect()
    }

    /// A point in the calendar of those who look.
    fn moment(&self, i: usize) -> Option<DateTime> {
        match self {
            Self::Days(days) => Some(days[i].to_datetime(Time::midnight())),
            Self::Moments { at, zone } => Some(zone.to_datetime(at[i])),
            _ => None,
        }
    }

    /// The other way round, as in `values`.
    fn value_of(&self, moment: DateTime) -> Option<f64> {
        match self {
            Self::Days(_) => Some(day_number(moment)),
            Self::Moments { zone, .. } => {
                let at = zone.to_timestamp(moment).ok()?;
                if zone.to_datetime(at) != moment {
                    // The clocks were put forward over it.
                    return None;
                }
                Some(at.as_duration().as_secs_f64())
            }
            _ => None,
        }
    }
}

fn day_number(at: DateTime) -> f64 {
    // A few million days at most.
    f64::from(i32::try_from(calendar::whole_days(at.date())).unwrap_or(0))
}

/// Every so many names, so that they can be read.
fn some_names(names: &[String], places: &Places) -> Vec<Named> {
    let widest = names.iter().map(|name| text::width(name, text::SMALL));
    let wanted = widest.fold(0.0, f64::max).min(72.0) + 8.0;
    let step = every(places.each(), wanted);
    let room = places.each() * float(step) - 8.0;
    let all = names.iter().zip(&places.centres);
    let some = all.step_by(step).map(|(name, at)| Named {
        at: *at,
        label: text::cut(name, text::SMALL, room.max(10.0)),
        context: String::new(),
    });
    some.collect()
}

/// Round numbers, or the points themselves where these are few.
fn some_numbers(numbers: &[f64], places: &Places, width: f64) -> Vec<Named> {
    let named = |at: f64, label: String| Named {
        at,
        label: text::cut(&label, text::SMALL, 90.0),
        context: String::new(),
    };
    if float(numbers.len()) * 48.0 <= width {
        let all = numbers.iter().zip(&places.centres);
        return all
            .map(|(number, at)| named(*at, name_of(*number)))
            .collect();
    }
    let Some(range) = Range::of(numbers.iter().copied().filter(|number| number.is_finite())) else {
        return Vec::new();
    };
    let ticks = Scale::new(range, &Unit::None, width / 90.0).ticks;
    let place = |tick: Tick| Some(named(places.between(numbers, tick.value)?, tick.label));
    ticks.into_iter().filter_map(place).collect()
}

fn name_of(number: f64) -> String {
    if number.is_finite() {
        return number::plain(number);
    }
    "not known".to_owned()
}

/// Without names that would touch the one before, and with each context only where it changes and
/// does not touch the next.
fn apart(mut named: Vec<Named>) -> Vec<Named> {
    let mut end = f64::NEG_INFINITY;
    named.retain(|name| {
        let half = text::width(&name.label.shown, text::SMALL) / 2.0;
        let is_free = name.at - half > end + 4.0;
        if is_free {
            end = name.at + half;
        }
        is_free
    });
    let mut before = String::new();
    for name in &mut named {
        if name.context == before {
            name.context.clear();
        } else {
            before.clone_from(&name.context);
        }
    }
    let mut next = f64::INFINITY;
    for name in named
        .iter_mut()
        .rev()
        .filter(|name| !name.context.is_empty())
    {
        let half = text::width(&name.context, text::SMALL) / 2.0;
        if name.at + half + 4.0 > next {
            name.context.clear();
        } else {
            next = name.at - half;
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn check(axis: &Axis, width: f64, expected: &str) {
        let places = match axis.values() {
            Some(values) => Places::apart(&values, 0.0, width),
            None => Places::even(axis.len(), 0.0, width),
        };
        let room = Room {
            from: 0.0,
            to: width,
        };
        let named = axis.named(&places, room).into_iter().map(|name| {
            let context = match &*name.context {
                "" => String::new(),
                context => format!(" ({context})"),
            };
            format!("{:.0} {}{context}", name.at, name.label.shown)
        });
        assert_eq!(named.collect::<Vec<_>>().join(", "), expected);
    }

    #[test]
    fn few_days_are_all_named() {
        let days = (29..=31).map(|day| date(2025, 12, day));
        let days = days.chain([date(2026, 1, 1)]).collect();
        check(
            &Axis::Days(days),
            400.0,
            "50 29 Dec (2025), 150 30 Dec, 250 31 Dec, 350 1 Jan (2026)",
        );
    }

    #[test]
    fn months_are_named_by_month() {
        let months = (10..=12).map(|month| date(2025, month, 1));
        let months = months.chain([date(2026, 1, 1)]).collect();
        check(
            &Axis::Days(months),
            400.0,
            "50 Oct (2025), 151 Nov, 249 Dec, 350 Jan (2026)",
        );
    }

    #[test]
    fn one_day_stands_in_the_middle() {
        check(
            &Axis::Days(vec![date(2026, 3, 1)]),
            400.0,
            "200 1 Mar (2026)",
        );
    }

    #[test]
    fn hours_are_those_of_the_zone_over_a_change_of_the_clocks() {
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        let start: jiff::Timestamp = "2026-03-28T22:00:00Z".parse().unwrap();
        let at = (0..8)
            .map(|hour| start + jiff::SignedDuration::from_hours(hour))
            .collect();
        // There is no 02:00 in that night.
        check(
            &Axis::Moments { at, zone },
            800.0,
            "50 23:00 (28 Mar 2026), 150 00:00 (29 Mar 2026), 250 01:00, 350 03:00, 450 04:00, 550 05:00, 650 06:00, 750 07:00",
        );
    }

    #[test]
    fn names_are_cut_or_left_out() {
        let names =
            |names: &[&str]| Axis::Categories(names.iter().map(|&name| name.to_owned()).collect());
        check(
            &names(&["physics", "mathematics and statistics"]),
            200.0,
            "50 physics, 150 mathematics…",
        );
        check(
            &names(&["0", "1", "2", "3", "4", "5"]),
            60.0,
            "5 0, 25 2, 45 4",
        );
    }

    #[test]
    fn what_does_not_rise_stands_evenly() {
        check(&Axis::Numbers(vec![3.0, 1.0]), 200.0, "50 3, 150 1");
        check(
            &Axis::Numbers(vec![1.0, f64::NAN]),
            200.0,
            "50 1, 150 not known",
        );
    }

    #[test]
    fn round_numbers_are_named() {
        let numbers = (0..100).map(|i| float(i) * 0.5).collect();
        check(
            &Axis::Numbers(numbers),
            500.0,
            "2 0, 102 10, 202 20, 302 30, 402 40",
        );
    }
}
