//! How much a server uses: habits that its user keeps, and moods that change by the hour.
//!
//! A function of names and time, so that the demo's present goes on as its past has ended. Who runs
//! what when does not belong here.

use crate::sim::draw::Draw;
use crate::sim::offers::Offer;
use model::usage::{Amounts, Totals};

/// Memory of a server that nobody has used yet.
const BARE_BYTES: f64 = 110.0 * 1_048_576.0;
const PAGE_BYTES: f64 = 4096.0;
/// Cores of a server that nobody uses.
const IDLE_CORES: f64 = 0.003;
/// What an open page in a browser sends and gets.
const HEARTBEAT_BYTES_PER_SECOND: f64 = 25.0;

/// Cores at work, in thousandths of what is allowed: few people calculate much.
const WORK: &[i64] = &[8, 20, 40, 75, 120, 200, 380, 900];
/// The same of what goes on when its user is away.
const BATCH: &[i64] = &[30, 120, 350, 600, 800];
/// Memory that is taken in the end, in thousandths of what is allowed.
const MEMORY: &[i64] = &[50, 100, 150, 210, 290, 420, 930];
/// Minutes until half of it is taken.
const HALF_TIME_MINUTES: &[i64] = &[4, 12, 25, 45, 90, 240];
/// A GPU's time at work, in thousandths.
const GPU: &[i64] = &[10, 60, 200, 450, 700, 950];
/// Bytes received in a second of work.
const RECEIVED: &[i64] = &[300, 1_500, 5_000, 20_000, 90_000, 900_000];
/// Thousandths of the usual.
const VIGOUR: &[i64] = &[200, 600, 900, 1100, 1500, 2600];

/// What a server takes of what its option allows. Shares are parts of 1.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Appetite {
    cores_at_work: f64,
    cores_away: f64,
    memory: f64,
    half_time_seconds: f64,
    gpu_at_work: f64,
    received_per_second: f64,
    sent_per_second: f64,
}

/// Whether its user is at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Mood {
    Working,
    Away,
}

/// How much livelier than usual, a factor.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Vigour(f64);

/// A part of a run, within an hour.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Spell {
    /// How long the server had run when it began, in seconds.
    pub(in crate::sim) age: f64,
    pub(in crate::sim) seconds: f64,
    /// Of these, those in which its user worked.
    pub(in crate::sim) active_seconds: f64,
    pub(in crate::sim) samples: u64,
}

/// What is used in each second.
#[derive(Clone, Copy)]
struct Rates {
    cores: f64,
    gpus: f64,
    received: f64,
    sent: f64,
}

impl Vigour {
    pub(in crate::sim) fn draw(draw: &mut Draw) -> Self {
        Self(thousandths(draw.quantile(VIGOUR)))
    }
}

impl Appetite {
    /// That of a user's server; the same for the same seed.
    pub(in crate::sim) fn of(seed: u64, user: &str, server: &str) -> Self {
        let names = [Draw::number_of(user), Draw::number_of(server)];
        let mut draw = Draw::of([seed, names[0], names[1], 20]);
        // Named servers are there for what takes long.
        let is_batch = draw.per_mille(if server.is_empty() { 50 } else { 700 });
        let received_per_second = whole(draw.quantile(RECEIVED));
        Self {
            cores_at_work: thousandths(draw.quantile(WORK)),
            cores_away: if is_batch {
                thousandths(draw.quantile(BATCH))
            } else {
                0.0
            },
            memory: thousandths(draw.quantile(MEMORY)),
            half_time_seconds: whole(60 * draw.quantile(HALF_TIME_MINUTES)),
            gpu_at_work: thousandths(draw.quantile(GPU)),
            received_per_second,
            sent_per_second: received_per_second * thousandths(draw.between(200, 900)),
        }
    }

    /// What is used at a moment, so many seconds after the start.
    pub(in crate::sim) fn now(
        &self,
        offer: &Offer,
        age: f64,
        mood: Mood,
        vigour: Vigour,
    ) -> Amounts {
        let rates = self.rates(offer, mood, vigour);
        Amounts {
            cpu_cores: Some(rates.cores),
            memory_bytes: Some(self.memory(offer, age)),
            cpu_requested_cores: Some(offer.requested_cores),
            memory_requested_bytes: Some(offer.requested_bytes),
            memory_limit_bytes: Some(offer.most_bytes),
            gpus_requested: Some(offer.gpus),
            gpus_used: Some(rates.gpus),
            network_rx_bytes_per_second: Some(rates.received),
            network_tx_bytes_per_second: Some(rates.sent),
        }
    }

    /// What is used in a part of a run.
    pub(in crate::sim) fn over(&self, offer: &Offer, spell: &Spell, draw: &mut Draw) -> Totals {
        let vigour = Vigour::draw(draw);
        let work = self.rates(offer, Mood::Working, vigour);
        let away = self.rates(offer, Mood::Away, vigour);
        let (at_work, rest) = (spell.active_seconds, spell.seconds - spell.active_seconds);
        let first = self.memory(offer, spell.age);
        let last = self.memory(offer, spell.age + spell.seconds);
        let peak = last * (1.0 + thousandths(draw.between(0, 60)));
        Totals {
            cpu_core_seconds: Some(work.cores * at_work + away.cores * rest),
            memory_byte_seconds: Some(f64::midpoint(first, last) * spell.seconds),
            cpu_requested_core_seconds: Some(offer.requested_cores * spell.seconds),
            memory_requested_byte_seconds: Some(offer.requested_bytes * spell.seconds),
            gpu_requested_seconds: Some(offer.gpus * spell.seconds),
            gpu_used_seconds: Some(work.gpus * at_work + away.gpus * rest),
            network_rx_bytes: Some((work.received * at_work + away.received * rest).floor()),
            network_tx_bytes: Some((work.sent * at_work + away.sent * rest).floor()),
            memory_peak_bytes: Some(in_pages(peak.min(offer.most_bytes))),
            samples: spell.samples,
        }
    }

    /// The working set after so many seconds: it grows, ever more slowly.
    fn memory(&self, offer: &Offer, age: f64) -> f64 {
        let most = (offer.most_bytes * self.memory).max(BARE_BYTES);
        let grown = (most - BARE_BYTES) * age / (age + self.half_time_seconds);
        in_pages(BARE_BYTES + grown)
    }

    fn rates(&self, offer: &Offer, mood: Mood, Vigour(vigour): Vigour) -> Rates {
        let at_work = self.received_per_second * vigour;
        let (cores, gpu, received, sent) = match mood {
            Mood::Working => {
                let sent = self.sent_per_second * vigour;
                (self.cores_at_work, self.gpu_at_work, at_work, sent)
            }
            Mood::Away => (self.cores_away, self.cores_away, 0.0, 0.0),
        };
        Rates {
            cores: (IDLE_CORES + offer.most_cores * cores * vigour).min(offer.most_cores),
            gpus: offer.gpus * (gpu * vigour).min(1.0),
            received: HEARTBEAT_BYTES_PER_SECOND + received,
            sent: HEARTBEAT_BYTES_PER_SECOND + sent,
        }
    }
}

fn in_pages(bytes: f64) -> f64 {
    (bytes / PAGE_BYTES).floor() * PAGE_BYTES
}

fn thousandths(number: i64) -> f64 {
    whole(number) / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn whole(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::offers::OFFERS;

    fn spells() -> impl Iterator<Item = (Appetite, &'static Offer, Totals, Spell)> {
        let mut draw = Draw::of([5]);
        (0..400).map(move |number| {
            let server = if number % 3 == 0 { "training" } else { "" };
            let appetite = Appetite::of(1, &format!("user-{number}"), server);
            let offer = &OFFERS[draw.index(OFFERS.len())];
            let seconds = whole(draw.between(1, 3600));
            let spell = Spell {
                age: whole(draw.between(0, 200_000)),
                seconds,
                active_seconds: (seconds * thousandths(draw.between(0, 1000))).floor(),
                samples: 1,
            };
            let totals = appetite.over(offer, &spell, &mut draw);
            (appetite, offer, totals, spell)
        })
    }

    #[test]
    fn nobody_uses_more_than_the_option_allows() {
        let mut most_used: f64 = 0.0;
        for (_, offer, totals, spell) in spells() {
            let cores = totals.cpu_core_seconds.unwrap() / spell.seconds;
            assert!(
                cores > 0.0 && cores <= offer.most_cores,
                "{offer:?} {cores}"
            );
            let bytes = totals.memory_byte_seconds.unwrap() / spell.seconds;
            let peak = totals.memory_peak_bytes.unwrap();
            assert!(bytes >= BARE_BYTES - PAGE_BYTES && bytes <= peak);
            assert!(peak <= offer.most_bytes);
            let gpus = totals.gpu_used_seconds.unwrap() / spell.seconds;
            assert!((0.0..=offer.gpus).contains(&gpus));
            most_used = most_used.max(cores / offer.most_cores);
        }
        assert!(most_used > 0.5, "some use much: {most_used}");
    }

    #[test]
    fn memory_grows_while_a_server_runs() {
        for (appetite, offer, _, _) in spells() {
            let hours = (0..9).map(|hour| appetite.memory(offer, f64::from(hour) * 3600.0));
            assert!(hours.is_sorted());
        }
    }

    #[test]
    fn what_is_used_at_a_moment_is_what_is_used_over_time() {
        for (appetite, offer, _, _) in spells().take(50) {
            let spell = Spell {
                age: 7200.0,
                seconds: 60.0,
                active_seconds: 60.0,
                samples: 1,
            };
            let totals = appetite.over(offer, &spell, &mut Draw::of([8]));
            let vigour = Vigour::draw(&mut Draw::of([8]));
            let now = appetite.now(offer, 7200.0, Mood::Working, vigour);
            let per_second = totals.cpu_core_seconds.unwrap() / 60.0;
            assert!((now.cpu_cores.unwrap() - per_second).abs() < 1e-9);
            assert!(now.memory_bytes <= totals.memory_peak_bytes);
        }
    }

    #[test]
    fn habits_are_a_users_and_a_servers_own() {
        let text = |seed, user, server| format!("{:?}", Appetite::of(seed, user, server));
        assert_eq!(text(1, "ada", ""), text(1, "ada", ""));
        assert_ne!(text(1, "ada", ""), text(1, "grace", ""));
        assert_ne!(text(1, "ada", ""), text(1, "ada", "gpu"));
        assert_ne!(text(1, "ada", ""), text(2, "ada", ""));
    }
}
