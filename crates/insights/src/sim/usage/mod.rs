//! What the servers of a simulated hub use: the demo's source of usage.
//!
//! Amounts follow from names and time ([`appetite`]), in the past that is made up
//! ([`super::history`]) as in the present, which [`SimUsage`] reads as the local source reads a
//! machine. What becomes of a look is the business of [`crate::usage`].

mod appetite;
mod home;
mod machine;
mod past;

pub(in crate::sim) use appetite::{Appetite, Spell};
pub(in crate::sim) use home::Home;
pub(in crate::sim) use machine::{Ceiling, Load, Machine};
pub use past::Past;

use super::draw::Draw;
use super::offers::Offer;
use super::{Server, ServerState, SimHub, User, World};
use crate::hub::Number;
use crate::poll::clock::now;
use crate::sources::machines::MachineNow;
use crate::sources::{Homes, Known, Look, ServerUse, Unattributed};
use appetite::{Mood, Vigour};
use jiff::Timestamp;
use model::names::UserName;
use model::usage::{Account, Amounts, Increment, Totals};
use std::sync::Arc;
use std::time::Duration;

/// The name of its machine.
const MACHINE: &str = "hub-1";
/// For so long people keep their mood.
const MOOD_SECONDS: i64 = 600;
/// How often somebody works of whose server the hub heard lately, and of whose it did not, in
/// thousandths.
const WORKING: u64 = 800;
const STILL_WORKING: u64 = 250;

/// Reads the world as the local source reads a machine.
#[derive(Debug)]
pub struct SimUsage {
    hub: SimHub,
    past: Past,
    homes_every: Duration,
    /// The last look.
    looked: Option<Timestamp>,
    homes_looked: Option<Timestamp>,
}

/// What determines all amounts.
struct Moment {
    seed: u64,
    at: Timestamp,
}

/// One server that runs.
struct Use<'a> {
    user: &'a UserName,
    server: &'a Server,
    amounts: Amounts,
}

impl SimUsage {
    /// Reads the world of this hub from now on, where the past ends.
    pub fn new(hub: SimHub, past: Past, homes_every: Duration) -> Self {
        Self {
            hub,
            past,
            homes_every,
            looked: None,
            homes_looked: None,
        }
    }

    /// What is used now.
    #[expect(clippy::unused_async, reason = "as the sources that have to wait")]
    pub async fn look(&mut self, known: &Known) -> Look {
        self.look_at(now(), known)
    }

    fn look_at(&mut self, at: Timestamp, known: &Known) -> Look {
        let hub = self.hub.clone();
        let world = hub.world();
        let seed = self.past.seed;
        let uses = uses_of(&world, &Moment { seed, at });
        let since = self.past.until.replace(at);
        let homes = self.homes(&world, since, at);
        let mut load = Load::default();
        let mut strangers = Strangers::default();
        let mut look = Look {
            at,
            homes,
            ..Look::default()
        };
        for it in uses {
            load.add(&it.amounts);
            look.increments
                .extend(since.and_then(|since| it.increment(since, at)));
            if !is_known(known, it.user) {
                strangers.add(&it.amounts);
                continue;
            }
            let since_last_look = self.looked.map_or(0.0, |looked| it.seconds(looked, at));
            look.servers.push(ServerUse {
                account: it.account(),
                amounts: it.amounts,
                cpu_seconds_more: it.amounts.cpu_cores.unwrap_or_default() * since_last_look,
            });
        }
        look.servers
            .sort_unstable_by(|left, right| left.account.cmp(&right.account));
        look.unattributed.extend(strangers.tell());
        if let Some(since) = since {
            let seconds = seconds_between(since, at).max(0.0);
            self.past.machine.bear(&load, seconds);
        }
        let ceilings = self.past.machine.ceilings(&load);
        let pods = pods(self.past.n_places).into_iter();
        look.numbers = ceilings.iter().map(Ceiling::number).chain(pods).collect();
        let servers = look.servers.iter();
        look.machines = vec![MachineNow {
            pressures: self.past.machine.pressures(&load).to_vec(),
            servers: servers.map(|server| server.account.clone()).collect(),
            n_other_pods: Some(self.past.n_places.into()),
            ..MachineNow::only(MACHINE.to_owned(), &look.numbers)
        }];
        self.looked = Some(at);
        look
    }

    /// Sizes of all homes, if they are due; those of people who are there have grown.
    fn homes(&mut self, world: &World, since: Option<Timestamp>, at: Timestamp) -> Option<Homes> {
        let looked = self.homes_looked;
        let passed = looked.map(|looked| at.duration_since(looked).unsigned_abs());
        let is_due = passed.is_none_or(|passed| passed >= self.homes_every);
        if !is_due {
            return None;
        }
        let since = looked.or(since).unwrap_or(at);
        let worked = u64::try_from(at.duration_since(since).as_secs()).unwrap_or_default();
        let mut sizes = Vec::new();
        for user in world.users() {
            let name = user.name();
            // Who never came has none.
            if user.last_activity.is_none() && !self.past.homes.contains_key(name) {
                continue;
            }
            let seed = self.past.seed;
            let home = self.past.homes.entry(name.clone());
            let home = home.or_insert_with(|| Home::of(seed, name.as_str()));
            if user.is_active() {
                home.work(worked);
            }
            sizes.push(home.size(name));
        }
        sizes.sort_unstable_by(|left, right| left.user.cmp(&right.user));
        self.homes_looked = Some(at);
        Some(Homes { at, sizes })
    }
}

impl Use<'_> {
    fn account(&self) -> Account {
        Account {
            user: self.user.clone(),
            server: Some(Arc::from(self.server.name.as_str())),
        }
    }

    /// Seconds that it has run between two moments.
    fn seconds(&self, from: Timestamp, to: Timestamp) -> f64 {
        seconds_between(from.max(self.server.started), to).max(0.0)
    }

    /// What it used since it was told last; nothing if the clock was put back.
    fn increment(&self, since: Timestamp, at: Timestamp) -> Option<Increment> {
        let from = since.max(self.server.started);
        (from < at).then(|| Increment {
            account: self.account(),
            from,
            until: at,
            totals: over(&self.amounts, seconds_between(from, at)),
        })
    }
}

/// What is used by servers whose user is not known yet.
#[derive(Default)]
struct Strangers {
    n_servers: u64,
    amounts: Amounts,
}

impl Strangers {
    fn add(&mut self, amounts: &Amounts) {
        self.n_servers += 1;
        self.amounts.add(amounts);
    }

    fn tell(self) -> Option<Unattributed> {
        (self.n_servers > 0).then_some(Unattributed {
            reason: "unknown user",
            n_things: self.n_servers,
            amounts: self.amounts,
            home_bytes: None,
        })
    }
}

/// Pods of its cluster beside those of users: all places are held, and nobody waits.
fn pods(n_places: u32) -> [Number; 2] {
    let running = ("phase".to_owned(), "Running".to_owned());
    [
        ("pods_unschedulable", Vec::new(), 0),
        ("pods_placeholder", vec![running], n_places),
    ]
    .map(|(name, labels, n)| Number {
        name: name.into(),
        labels,
        value: n.into(),
    })
}

/// What all servers of the world use at a moment, in the order of the users' creation.
fn uses_of<'a>(world: &'a World, moment: &Moment) -> Vec<Use<'a>> {
    let servers = world.users().iter().flat_map(|user| {
        let servers = user.servers.iter();
        let ready = servers.filter(|server| server.state == ServerState::Ready);
        ready.map(move |server| (user, server))
    });
    let uses = servers.map(|(user, server)| Use {
        user: user.name(),
        server,
        amounts: moment.amounts(user, server),
    });
    uses.collect()
}

fn load_of(world: &World, moment: &Moment) -> Load {
    let mut load = Load::default();
    for it in uses_of(world, moment) {
        load.add(&it.amounts);
    }
    load
}

impl Moment {
    /// What a server uses.
    fn amounts(&self, user: &User, server: &Server) -> Amounts {
        let name = user.name().as_str();
        let appetite = Appetite::of(self.seed, name, &server.name);
        let slot = self.at.as_second().div_euclid(MOOD_SECONDS);
        let names = [Draw::number_of(name), Draw::number_of(&server.name)];
        let mut draw = Draw::of([self.seed, names[0], names[1], slot.cast_unsigned()]);
        let last_activity = server.last_activity.unwrap_or(server.started);
        let is_recent = self.at.duration_since(last_activity).as_secs() < MOOD_SECONDS;
        let share = if is_recent { WORKING } else { STILL_WORKING };
        let mood = if draw.per_mille(share) {
            Mood::Working
        } else {
            Mood::Away
        };
        let age = seconds_between(server.started, self.at).max(0.0);
        let offer = Offer::chosen(&server.user_options);
        appetite.now(offer, age, mood, Vigour::draw(&mut draw))
    }
}

/// What amounts come to over so many seconds, seen once.
fn over(amounts: &Amounts, seconds: f64) -> Totals {
    let over = |amount: Option<f64>| amount.map(|amount| amount * seconds);
    Totals {
        cpu_core_seconds: over(amounts.cpu_cores),
        memory_byte_seconds: over(amounts.memory_bytes),
        cpu_requested_core_seconds: over(amounts.cpu_requested_cores),
        memory_requested_byte_seconds: over(amounts.memory_requested_bytes),
        gpu_requested_seconds: over(amounts.gpus_requested),
        gpu_used_seconds: over(amounts.gpus_used),
        network_rx_bytes: over(amounts.network_rx_bytes_per_second),
        network_tx_bytes: over(amounts.network_tx_bytes_per_second),
        memory_peak_bytes: amounts.memory_bytes,
        samples: 1,
    }
}

/// All are, as long as it is not known who is.
fn is_known(known: &Known, user: &UserName) -> bool {
    let users = known.users.as_deref();
    users.is_none_or(|users| users.binary_search(user).is_ok())
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests;
