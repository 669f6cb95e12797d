//! A writer is killed again and again while requests are in flight: what it acknowledged is in the
//! tables, as others read them, and each row once.

mod batch;
mod ledger;
mod victim;
mod writer;

use crate::support::{OtherReaders, variable};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ledger::Ledger;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use std::time::Instant;
use store::Phase;
use victim::{Durations, PHASES, Victim};
pub(crate) use writer::run as run_writer;

pub(crate) const TESTS: &[crate::Test] = &[(
    "a_store_that_is_killed_under_load_loses_nothing_and_repeats_nothing",
    killed_under_load,
)];

const SEED: u64 = 20_261_121;

/// How long it goes on.
#[expect(clippy::struct_field_names, reason = "all of them are numbers")]
struct Plan {
    n_kills: usize,
    n_per_phase: usize,
    n_rows: usize,
}

impl Plan {
    fn of_this_run() -> Self {
        if variable("INSIGHTS_SOAK").is_some() {
            Self {
                n_kills: 100,
                n_per_phase: 10,
                n_rows: 100_000,
            }
        } else {
            Self {
                n_kills: 10,
                n_per_phase: 1,
                n_rows: 0,
            }
        }
    }
}

/// Kills that counted: with requests in flight.
#[derive(Default)]
struct Tally {
    by_phase: [usize; PHASES.len()],
    n_in_flight: usize,
    n_idle_clients: usize,
}

impl Tally {
    fn n_kills(&self) -> usize {
        self.by_phase.iter().sum()
    }

    fn is_enough(&self, plan: &Plan, ledger: &Ledger) -> bool {
        self.n_kills() >= plan.n_kills
            && self.by_phase.iter().all(|n| *n >= plan.n_per_phase)
            && ledger.n_acknowledged >= plan.n_rows
    }

    /// The phase with the fewest kills.
    fn rarest(&self) -> Phase {
        let rarest = (0..PHASES.len()).min_by_key(|index| self.by_phase[*index]);
        PHASES[rarest.unwrap_or_default()]
    }

    fn count(&mut self, phase: Phase, n_in_flight: usize) {
        if n_in_flight == 0 {
            self.n_idle_clients += 1;
            return;
        }
        let index = PHASES.iter().position(|known| *known == phase).unwrap();
        self.by_phase[index] += 1;
        self.n_in_flight += n_in_flight;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the day of the test decides which days are over"
)]
fn midnight() -> Timestamp {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).start_of_day();
    today.unwrap().timestamp()
}

fn killed_under_load() {
    let (plan, midnight, began) = (Plan::of_this_run(), midnight(), Instant::now());
    let folder = tempfile::tempdir().unwrap();
    let (store, log) = (folder.path().join("store"), folder.path().join("log"));
    let mut readers = OtherReaders::start();
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut durations = Durations::default();
    let (mut ledger, mut tally, mut next) = (Ledger::default(), Tally::default(), 0);
    while !tally.is_enough(&plan, &ledger) {
        assert!(
            tally.n_kills() < 3 * plan.n_kills,
            "some phases are never met: {:?}",
            tally.by_phase
        );
        let mut victim = Victim::start(&store, &log, midnight);
        settle(&mut victim, &mut ledger);
        ledger.check(&mut readers, &store);
        let killed =
            victim.work_until_killed(tally.rarest(), &mut next, &mut durations, &mut random);
        tally.count(killed.phase, killed.in_flight.len());
        for number in killed.answered {
            ledger.acknowledged(&batch::Batch { number, midnight });
        }
        for number in killed.in_flight {
            ledger.not_answered(batch::Batch { number, midnight });
        }
    }
    let mut last = Victim::start(&store, &log, midnight);
    settle(&mut last, &mut ledger);
    ledger.check(&mut readers, &store);
    println!("{}", result(&tally, &ledger, began));
}

/// What a client does after a restart: it sends some of what was not answered again.
fn settle(victim: &mut Victim, ledger: &mut Ledger) {
    for number in victim.take(ledger.to_send_again().into_iter()) {
        ledger.acknowledged(&victim.batch(number));
    }
    victim.flush();
}

/// The table for `bench/README.md`.
fn result(tally: &Tally, ledger: &Ledger, began: Instant) -> String {
    let mut lines = vec!["| killed in | kills |".to_owned(), "|---|---|".to_owned()];
    for (phase, n) in PHASES.iter().zip(tally.by_phase) {
        lines.push(format!("| {} | {n} |", victim::name(*phase)));
    }
    lines.push(format!("| **all** | **{}** |", tally.n_kills()));
    lines.push(String::new());
    lines.push(format!(
        "Acknowledged rows: {}. Lost: 0. Repeated: 0. Requests in flight at the kills: {}; of those \
         that were not sent again {} were there as a whole and {} not at all. Kills without a \
         request in flight, not counted: {}. {:.0} s.",
        ledger.n_acknowledged,
        tally.n_in_flight,
        ledger.n_adopted,
        ledger.n_dropped,
        tally.n_idle_clients,
        began.elapsed().as_secs_f64()
    ));
    lines.join("\n")
}
