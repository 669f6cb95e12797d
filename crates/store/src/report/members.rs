//! Who was in which group on which day, as spans of days: the one multi-group rule applied to the
//! history of memberships.

use super::calendar::{Calendar, DayNumber, HubCalendar};
use model::attribution::Attribution;
use model::names::{GroupName, UserName};
use model::snapshot::Group;
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

/// Days on which somebody counts to a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) hub: String,
    pub(crate) user: String,
    pub(crate) group: String,
    pub(crate) first: DayNumber,
    pub(crate) last: DayNumber,
    pub(crate) share: f64,
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
            });
        }
    }
    spans
}

/// To which groups everybody counts who ever was in one, day by day: in none, too.
pub(crate) fn attributed(
    intervals: &[Interval],
    calendar: &Calendar,
    rule: &Attribution,
) -> Vec<Span> {
    let mut by_person: BTreeMap<(&str, &str), Vec<&Interval>> = BTreeMap::new();
    for interval in intervals {
        let group = GroupName::from(interval.group.as_str());
        if rule.filter.allows(&group) {
            let person = (interval.hub.as_str(), interval.user.as_str());
            by_person.entry(person).or_default().push(interval);
        }
    }
    let mut spans = Vec::new();
    for ((name, user), intervals) in by_person {
        if let Some(hub) = calendar.hub(name) {
            let person = Person { name, user, hub };
            person.add(&intervals, rule, &mut spans);
        }
    }
    spans
}

struct Person<'a> {
    name: &'a str,
    user: &'a str,
    hub: &'a HubCalendar,
}

impl Person<'_> {
    /// Cuts the period where the groups of the person change.
    fn add(&self, intervals: &[&Interval], rule: &Attribution, spans: &mut Vec<Span>) {
        let known: Vec<(&str, DayNumber, DayNumber)> = intervals
            .iter()
            .filter_map(|interval| {
                let (first, last) = days(interval, self.hub)?;
                Some((interval.group.as_str(), first, last))
            })
            .collect();
        let mut cuts = BTreeSet::from([self.hub.first(), self.hub.last() + 1]);
        for (_, first, last) in &known {
            cuts.extend([*first, *last + 1]);
        }
        let cuts: Vec<DayNumber> = cuts.into_iter().collect();
        for pair in cuts.windows(2) {
            let (first, end) = (pair[0], pair[1]);
            let groups: BTreeSet<&str> = known
                .iter()
                .filter(|(_, from, to)| *from <= first && first <= *to)
                .map(|(group, ..)| *group)
                .collect();
            self.push(&groups, first, end - 1, rule, spans);
        }
    }

    fn push(
        &self,
        groups: &BTreeSet<&str>,
        first: DayNumber,
        last: DayNumber,
        rule: &Attribution,
        spans: &mut Vec<Span>,
    ) {
        let user = UserName::from(self.user);
        let groups: Vec<Group> = groups
            .iter()
            .map(|group| Group::new((*group).into(), [user.clone()]))
            .collect();
        let all_users = [user];
        for row in rule.apply(&groups, Some(&all_users)).rows {
            let span = Span {
                hub: self.name.to_owned(),
                user: self.user.to_owned(),
                group: row.group.to_string(),
                first,
                last,
                share: row.share,
            };
            // The same group goes on where only another one changed.
            let before = spans.iter_mut().rev().take(8).find(|before| {
                before.user == span.user
                    && before.hub == span.hub
                    && before.group == span.group
                    && before.last + 1 == span.first
                    && (before.share - span.share).abs() < 1e-12
            });
            match before {
                Some(before) => before.last = span.last,
                None => spans.push(span),
            }
        }
    }
}
