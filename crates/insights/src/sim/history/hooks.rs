//! What hooks in the hub told of people and their servers: who logged in and out, which starts
//! succeeded and which failed. Ends of sessions are among the [facts](super::facts).

use super::History;
use super::ServerMonth;
use super::calendar::{DAY, SECOND};
use super::items::{AUTHENTICATOR, Detail, HookItem, Item, SPAWNER};
use super::people::Person;
use super::runs::Run;
use super::usage::seconds;
use crate::sim::draw::Draw;
use model::fact::ServerKey;
use std::ops::Range;

/// For so long a login of a hub lasts.
const COOKIE: i64 = 14 * DAY;
/// Addresses of logins are forgotten after so long.
const ADDRESSES_KEPT: i64 = 29 * DAY;
/// Of starts: how many come from another browser; of logins: how many fail first; of runs: after
/// how much work people log out. In thousandths.
const OTHER_BROWSER: u64 = 120;
const MISTYPED: u64 = 40;
const LOGS_OUT: u64 = 150;

/// What hooks tell by.
struct Hooks {
    /// Since when they tell.
    from: i64,
    /// Since when addresses are kept.
    addresses_from: i64,
    until: i64,
}

impl History {
    /// What the hub's hooks told of these users, in no order. To be asked once for each month and
    /// user, months in order, with what [`Self::servers`] gave for them.
    pub fn hooks(&mut self, users: Range<usize>, servers: &[ServerMonth]) -> Vec<Item> {
        let hooks = Hooks {
            from: self.incidents.hooked_from,
            addresses_from: self.addresses_from(),
            until: self.calendar.until,
        };
        let mut items = Vec::new();
        let mut rest = servers;
        for person in &mut self.people[users] {
            let is_own = |server: &&ServerMonth| server.key.user == person.name;
            let (own, others) = rest.split_at(rest.iter().take_while(is_own).count());
            rest = others;
            let mut runs: Vec<(&ServerKey, &Run)> = own
                .iter()
                .flat_map(|server| server.runs.iter().map(|run| (&server.key, run)))
                .filter(|(_, run)| run.started > hooks.from)
                .collect();
            runs.sort_by_key(|(_, run)| run.asked());
            for (key, run) in runs {
                hooks.tell_login(person, run, &mut items);
                hooks.tell_start(key, run, &mut items);
            }
        }
        items
    }

    /// Earlier addresses are forgotten.
    pub(super) fn addresses_from(&self) -> i64 {
        self.calendar.until - ADDRESSES_KEPT
    }
}

impl Run {
    /// When its user asked for it first.
    fn asked(&self) -> i64 {
        self.failed.map_or(self.started, |failed| failed.asked)
    }
}

impl Hooks {
    fn tell_start(&self, key: &ServerKey, run: &Run, items: &mut Vec<Item>) {
        let mut tell = |kind, at: i64, detail| {
            let at = at.min(self.until);
            let item = HookItem::about(kind, at, &key.user, Some(&key.server), detail);
            items.push(Item::Hook(item.numbered(run.seed)));
        };
        let asked = Detail::Asked { spawner: SPAWNER };
        if let Some(failed) = &run.failed {
            tell("spawn-asked", failed.asked, Some(asked.clone()));
            let detail = Detail::Failed {
                spawner: SPAWNER,
                error_type: failed.why.error_type(),
                seconds: seconds(failed.ended - failed.asked),
            };
            tell("spawn-failed", failed.ended, Some(detail));
        }
        let mut draw = Draw::of([run.seed, 42]);
        let (before, after) = (draw.between(9_000, 60_000), draw.between(9_000, 90_000));
        tell("spawn-asked", run.started - before, Some(asked));
        let detail = Detail::Succeeded {
            spawner: SPAWNER,
            seconds: seconds(run.ready - run.started),
            launch_seconds: seconds(run.ready - run.started + before + after),
        };
        tell("spawn-succeeded", run.ready + after, Some(detail));
    }

    /// Who starts a server has logged in, on that day or up to two weeks before.
    fn tell_login(&self, person: &mut Person, run: &Run, items: &mut Vec<Item>) {
        let mut draw = Draw::of([run.seed, 41]);
        let asked = run.asked();
        let logged_in_until = person.logged_in_until.unwrap_or_else(|| {
            // Whoever logged in before the hooks came is still logged in.
            let is_new = person.from > self.from;
            let left = Draw::of([person.number, 43]).between(0, COOKIE);
            if is_new { i64::MIN } else { self.from + left }
        });
        let mut tell = |kind, at, detail| {
            let item = HookItem::about(kind, at, &person.name, None, detail);
            items.push(Item::Hook(item.numbered(run.seed)));
        };
        person.logged_in_until = Some(logged_in_until);
        if asked >= logged_in_until || draw.per_mille(OTHER_BROWSER) {
            let at = (asked - draw.between(3 * SECOND, 25 * SECOND)).max(self.from);
            let address = self.address(person.number, at, &mut draw);
            if draw.per_mille(MISTYPED) {
                let detail = Detail::LoginFailed {
                    authenticator: AUTHENTICATOR,
                    address: address.clone(),
                    known_user: true,
                };
                let earlier = at - draw.between(4 * SECOND, 40 * SECOND);
                tell("login-failed", earlier.max(self.from), Some(detail));
            }
            let detail = Detail::Login {
                authenticator: AUTHENTICATOR,
                address,
            };
            tell("login", at, Some(detail));
            person.logged_in_until = Some(logged_in_until.max(at + COOKIE));
        }
        let left = run.last_activity + draw.between(4 * SECOND, 40 * SECOND);
        let is_over = run.end.is_some_and(|end| left < end.at);
        if is_over && left < self.until && draw.per_mille(LOGS_OUT) {
            tell("logout", left, None);
            person.logged_in_until = Some(left);
        }
    }

    /// Where somebody logged in from, if that was not forgotten: the university's wireless network,
    /// its offices, its VPN, or home.
    fn address(&self, person: u64, at: i64, draw: &mut Draw) -> Option<String> {
        if at < self.addresses_from {
            return None;
        }
        let host = |draw: &mut Draw| (draw.below(250), 1 + draw.below(250));
        Some(match draw.below(100) {
            ..50 => {
                let (net, host) = host(draw);
                format!("10.20.{net}.{host}")
            }
            50..70 => format!("10.30.{}.{}", person / 250 % 250, 1 + person % 250),
            70..80 => format!("10.99.7.{}", host(draw).1),
            80..90 => format!("2001:db8:{:x}::{:x}", person % 0xffff, 1 + person % 0xfff),
            _ => format!("203.0.113.{}", 1 + person % 250),
        })
    }
}
