//! What happened to the hub without any of its users: it started anew, strangers tried to log in,
//! and guests launched repositories on the BinderHub beside it.

use super::History;
use super::calendar::{DAY, HOUR, LocalDay, MINUTE, SECOND, Season};
use super::items::{AUTHENTICATOR, Detail, HookItem, Item, Launch};
use crate::sim::draw::Draw;

/// How long the hub's process takes until its hooks tell that it began.
const START: i64 = 4 * SECOND;
/// Days on which somebody tries many names, in thousandths.
const DAYS_WITH_SCANS: u64 = 40;

/// Repositories, the most often launched first.
const REPOSITORIES: [(&str, &str); 11] = [
    ("GitHub", "example-university/intro-to-python/HEAD"),
    ("GitHub", "example-university/statistics-101/HEAD"),
    ("GitHub", "example-university/intro-to-python/2026-summer"),
    ("GitHub", "astro-lab/light-curves/v1.2"),
    ("GitLab", "chemistry%2Fspectra-workshop/main"),
    ("Zenodo", "10.5281/zenodo.7654321"),
    ("GitHub", "jupyterlab/jupyterlab-demo/HEAD"),
    ("Gist", "emmy-n/0c9d6c2f6c1f4f0d9e1b7a3c5d2e4f60/master"),
    ("Git", "https%3A%2F%2Fgit.example.org%2Fsummer-school/main"),
    ("GitHub", "bio-lab/protein-folding/paper"),
    ("Zenodo", "10.5281/zenodo.1234567"),
];

impl History {
    /// What happened in the month beside what users did, in no order. Nothing of an outage.
    pub fn visits(&self, month: usize) -> Vec<Item> {
        let mut items = Vec::new();
        for index in self.months[month].days.clone() {
            let day = &self.calendar.days[index];
            let mut draw = Draw::of([self.seed, 61, index as u64]);
            Self::launches(day, &mut draw, &mut items);
            if day.start >= self.incidents.hooked_from {
                strangers(day, self.addresses_from(), &mut draw, &mut items);
            }
            let restarts = self.incidents.restarts.iter();
            let restarts = restarts.filter(|&&restart| restart >= self.incidents.hooked_from);
            let restarts = restarts.filter(|&&restart| (day.start..day.end).contains(&restart));
            items.extend(restarts.map(|restart| {
                Item::Hook(HookItem::hub_started(restart + START).numbered(self.seed))
            }));
        }
        items.retain(|item| {
            let at = item.at().as_microsecond();
            at < self.calendar.until && !self.incidents.is_outage(at)
        });
        items
    }

    fn launches(day: &LocalDay, draw: &mut Draw, items: &mut Vec<Item>) {
        let mean = match (day.season, day.is_weekend()) {
            (Season::Lectures, false) => 9000,
            (Season::Holidays, _) | (_, true) => 900,
            _ => 4000,
        };
        let mean = draw.quantile(&[mean / 4, mean, 2 * mean]);
        for _ in 0..draw.count(mean.cast_unsigned()) {
            let repository = REPOSITORIES[draw.small_index(REPOSITORIES.len())];
            let clock = draw.between(8 * HOUR, 19 * HOUR);
            items.push(Item::Launch(Launch::of(day.moment(clock), repository)));
        }
    }
}

/// Names that nobody has: two or three a day, and many at once now and then.
fn strangers(day: &LocalDay, addresses_from: i64, draw: &mut Draw, items: &mut Vec<Item>) {
    let mut tell = |at: i64, host: u64| {
        let item = HookItem {
            detail: Some(Detail::LoginFailed {
                authenticator: AUTHENTICATOR,
                address: (at >= addresses_from).then(|| format!("198.51.100.{host}")),
                known_user: false,
            }),
            ..HookItem::of_hub("login-failed", at)
        };
        items.push(Item::Hook(item.numbered(host)));
    };
    for _ in 0..draw.count(2400) {
        tell(day.start + draw.between(0, DAY - HOUR), 1 + draw.below(250));
    }
    if draw.per_mille(DAYS_WITH_SCANS) {
        let (mut at, host) = (day.start + draw.between(0, 20 * HOUR), 1 + draw.below(250));
        for _ in 0..20 + draw.below(60) {
            at += draw.between(SECOND, MINUTE / 4);
            tell(at, host);
        }
    }
}
