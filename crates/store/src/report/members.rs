//! Who was in which group on which day, as spans of days, and what the one multi-group rule counts
//! there.

use super::calendar::{Calendar, DayNumber, HubCalendar};
use crate::query::Weighed;
use model::attribution::{Attribution, Membership, PseudoNames};
use model::names::{GroupName, UserName};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody was in a group, in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) hub: String,
    pub(crate) user: String,
    pub(crate) group: String,
    pub(crate) joined: i64,
    pub(crate) left: Option<i64>,
}

impl Weighed for Vec<Interval> {
    fn bytes(&self) -> usize {
        let names = self.iter();
        let names = names.map(|it| it.hub.len() + it.user.len() + it.group.len());
        names.sum::<usize>() + self.len() * size_of::<Interval>()
    }
}

/// Days on which somebody is in a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) hub: String,
    pub(crate) user: String,
    pub(crate) group: String,
    pub(crate) first: DayNumber,
    pub(crate) last: DayNumber,
    /// How much of what adds up counts here: nothing where the rule counts all of it elsewhere.
    pub(crate) share: f64,
    /// Whether the hub has this group, or it is made up for people in none or in several.
    pub(crate) is_real: bool,
}

/// Days on end on which somebody was in a group, in microseconds since 1970: from the start of the first
/// to the end of the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) hub: String,
    pub(crate) user: String,
    pub(crate) starts: i64,
    /// None while they are in it.
    pub(crate) ends: Option<i64>,
}

/// The first and last day on which it held for a moment, if there is one in the period.
fn days(interval: &Interval, hub: &HubCalendar) -> Option<(DayNumber, DayNumber)> {
    let first = hub.day_of(interval.joined);
    let last = match interval.left {
        Some(left) if left <= interval.joined => return None,
        Some(left) => hub.day_of(left - 1),
        None => hub.last(),
    };
    let (first, last) = (first.max(hub.first()), last.min(hub.last()));
    (first <= last).then_some((first, last))
}

/// Real memberships in the groups that `wanted` names, clipped to the period; the spans of one
/// person do not overlap.
pub(crate) fn in_groups(
    intervals: &[Interval],
    calendar: &Calendar,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Span> {
    let mut by_person: BTreeMap<(&str, &str), Vec<(DayNumber, DayNumber)>> = BTreeMap::new();
    for interval in intervals.iter().filter(|interval| wanted(&interval.group)) {
        let Some(hub) = calendar.hub(&interval.hub) else {
            continue;
        };
        if let Some(days) = days(interval, hub) {
            let person = (interval.hub.as_str(), interval.user.as_str());
            by_person.entry(person).or_default().push(days);
        }
    }
    let mut spans: Vec<Span> = Vec::new();
    for ((hub, user), mut days) in by_person {
        days.sort_unstable();
        for (first, last) in days {
            let before = spans
                .last_mut()
                .filter(|span| span.hub == hub && span.user == user && span.last + 1 >= first);
            if let Some(before) = before {
                before.last = before.last.max(last);
                continue;
            }
            spans.push(Span {
                hub: hub.to_owned(),
                user: user.to_owned(),
                group: String::new(),
                first,
                last,
                share: 1.0,
                is_real: true,
            });
        }
    }
    spans
}

/// When people were in this group, by whole days, also before and after the period: a session may reach
/// out of it. Those of one person do not touch each other.
pub(crate) fn stays(intervals: &[Interval], calendar: &Calendar, group: &str) -> Vec<Stay> {
    let mut all: Vec<Stay> = intervals
        .iter()
        .filter(|interval| interval.group == group)
        .filter_map(|interval| stay(interval, calendar))
        .collect();
    all.sort_unstable_by(|a, b| (&a.hub, &a.user, a.starts).cmp(&(&b.hub, &b.user, b.starts)));
    let mut stays: Vec<Stay> = Vec::new();
    for stay in all {
        let is_before = |before: &&mut Stay| {
            let ends = before.ends.is_none_or(|ends| ends >= stay.starts);
            before.hub == stay.hub && before.user == stay.user && ends
        };
        match stays.last_mut().filter(is_before) {
            Some(before) => before.ends = before.ends.zip(stay.ends).map(|(a, b)| a.max(b)),
            None => stays.push(stay),
        }
    }
    stays
}

fn stay(interval: &Interval, calendar: &Calendar) -> Option<Stay> {
    let hub = calendar.hub(&interval.hub)?;
    if interval.left.is_some_and(|left| left <= interval.joined) {
        return None;
    }
    Some(Stay {
        hub: interval.hub.clone(),
        user: interval.user.clone(),
        starts: hub.start(hub.day_of(interval.joined)),
        ends: interval
            .left
            .map(|left| hub.start(hub.day_of(left - 1) + 1)),
    })
}

/// Where everybody counts.
#[derive(Default)]
pub(crate) struct Attributed {
    pub(crate) spans: Vec<Span>,
    /// What people in no group are said to be in; no group that may be shown has this name.
    pub(crate) none: String,
}

/// In which groups everybody is who ever was in one, day by day, and what of them counts there; in
/// none, too. A group that may not be shown is as if it were not there: who is in no other one is in
/// none.
pub(crate) fn attributed(
    intervals: &[Interval],
    calendar: &Calendar,
    rule: &Attribution,
) -> Attributed {
    let groups: BTreeSet<&str> = intervals.iter().map(|row| row.group.as_str()).collect();
    let groups = groups.into_iter().map(|group| (group, group.into()));
    let shown = groups.filter(|(_, name)| rule.filter.allows(name));
    let shown: BTreeMap<&str, GroupName> = shown.collect();
    let mut by_person: BTreeMap<(&str, &str), Vec<&Interval>> = BTreeMap::new();
    for interval in intervals {
        if shown.contains_key(interval.group.as_str()) {
            let person = (interval.hub.as_str(), interval.user.as_str());
            by_person.entry(person).or_default().push(interval);
        }
    }
    let mut pseudo = PseudoNames::new(shown.values());
    let none = pseudo.no_group().to_string();
    let mut cut = Cut {
        rule,
        shown: &shown,
        pseudo,
        spans: Vec::new(),
    };
    for ((hub, user), intervals) in by_person {
        if let Some(calendar) = calendar.hub(hub) {
            let person = Person {
                hub,
                calendar,
                user: user.into(),
            };
            cut.add(&person, &intervals);
        }
    }
    Attributed {
        spans: cut.spans,
        none,
    }
}

struct Person<'a> {
    hub: &'a str,
    calendar: &'a HubCalendar,
    user: UserName,
}

struct Cut<'a> {
    rule: &'a Attribution,
    shown: &'a BTreeMap<&'a str, GroupName>,
    pseudo: PseudoNames<'a>,
    spans: Vec<Span>,
}

impl Cut<'_> {
    /// Cuts the period where the groups of the person change.
    fn add(&mut self, person: &Person<'_>, intervals: &[&Interval]) {
        let shown = self.shown;
        let known = intervals.iter().filter_map(|interval| {
            let (first, last) = days(interval, person.calendar)?;
            Some((&shown[interval.group.as_str()], first, last))
        });
        let known: Vec<(&GroupName, DayNumber, DayNumber)> = known.collect();
        let (first, last) = (person.calendar.first(), person.calendar.last());
        let mut cuts = BTreeSet::from([first, last + 1]);
        for (_, first, last) in &known {
            cuts.extend([*first, *last + 1]);
        }
        let cuts: Vec<DayNumber> = cuts.into_iter().collect();
        for pair in cuts.windows(2) {
            let (first, end) = (pair[0], pair[1]);
            let groups = known
                .iter()
                .filter(|(_, from, to)| *from <= first && first <= *to);
            let groups: BTreeSet<&GroupName> = groups.map(|(group, ..)| *group).collect();
            let groups: Vec<&GroupName> = groups.into_iter().collect();
            for membership in self.memberships(&person.user, &groups) {
                self.push(Span {
                    hub: person.hub.to_owned(),
                    user: membership.user.to_string(),
                    group: membership.group.to_string(),
                    first,
                    last: end - 1,
                    share: membership.share,
                    is_real: groups.contains(&&membership.group),
                });
            }
        }
    }

    /// By the rule; and in each of the groups of which nothing of them counts, without a share.
    fn memberships(&mut self, user: &UserName, groups: &[&GroupName]) -> Vec<Membership> {
        let mut all = self.rule.of_user(user, groups, &mut self.pseudo);
        for group in groups {
            if !all.iter().any(|known| known.group == **group) {
                all.push(Membership {
                    user: user.clone(),
                    group: (*group).clone(),
                    share: 0.0,
                });
            }
        }
        all
    }

    /// The same group goes on where only another one changed.
    fn push(&mut self, span: Span) {
        let before = self.spans.iter_mut().rev().take(8).find(|before| {
            before.user == span.user
                && before.hub == span.hub
                && before.group == span.group
                && before.last + 1 == span.first
                && (before.share - span.share).abs() < 1e-12
        });
        match before {
            Some(before) => before.last = span.last,
            None => self.spans.push(span),
        }
    }
}
