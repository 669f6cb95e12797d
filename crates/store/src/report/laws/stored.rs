//! How rows lie changes no answer: in which parts and order, whether they corrected others, and
//! whether closed days come from the roll-up.

use super::same::{assert_same, assert_same_rows};
use super::story::{History, Like, USERS, histories};
use super::{Desk, cases, period, reports, run_test};
use crate::Sources;
use crate::report::golden::{Past, with};
use crate::report::{Definition, Filter, Need, RollUp};
use crate::tables::Row;
use proptest::prelude::*;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Rows in several parts, in no order.
struct Scattered {
    seed: u64,
    n_parts: u64,
}

impl Scattered {
    fn number(&self, row: &impl Row) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, row.id(), row.revision()).hash(&mut hasher);
        hasher.finish()
    }

    fn add<R: Row>(&self, mut sources: Sources, mut rows: Vec<R>) -> Sources {
        rows.sort_by_cached_key(|row| self.number(row));
        for part in 0..self.n_parts {
            let is_here = |row: &&R| self.number(*row) / 7 % self.n_parts == part;
            let here: Vec<R> = rows.iter().filter(is_here).cloned().collect();
            sources = with(sources, &here);
        }
        sources
    }

    /// What a query sees of all rows, and of one before each that can be corrected.
    fn sources(&self, past: &Past, rollup: RollUp) -> Sources {
        let mut sources = past.present(rollup);
        sources = self.add(sources, past.events.clone());
        sources = self.add(sources, past.memberships.clone());
        sources = self.add(sources, past.observations.clone());
        let sessions = corrected(&past.sessions, |row, revision| {
            row.revision = revision;
            if revision == 1 {
                row.ended = row.started;
                row.active_seconds = None;
                row.end_reason = "unobserved".into();
            }
        });
        sources = self.add(sources, sessions);
        let usage = corrected(&past.usage, |row, revision| {
            row.revision = revision;
            if revision == 1 {
                row.cpu_core_seconds = Some(1e6);
                row.gpu_requested_seconds = None;
            }
        });
        sources = self.add(sources, usage);
        let storage = corrected(&past.storage, |row, revision| {
            row.revision = revision;
            if revision == 1 {
                row.home_bytes += 1.0;
            }
        });
        sources = self.add(sources, storage);
        if rollup == RollUp::Unused {
            return sources;
        }
        let days = corrected(&past.rolled(), |row, revision| {
            row.revision = revision;
            if revision == 1 {
                row.sessions += 5;
                row.hours += 1.0;
                row.cpu_core_seconds = None;
            }
        });
        self.add(sources, days)
    }
}

/// Each row as the second revision, with what `change` makes of the first before it.
fn corrected<R: Row>(rows: &[R], change: impl Fn(&mut R, i64)) -> Vec<R> {
    let both = rows.iter().flat_map(|row| {
        [1, 2].map(|revision| {
            let mut row = row.clone();
            change(&mut row, revision);
            row
        })
    });
    both.collect()
}

/// Ways to answer a report: most do not read what the roll-up has.
pub(super) fn roll_ups_of(report: &Definition) -> &'static [RollUp] {
    const VIEWS: [&str; 3] = [
        "period_user_days",
        "period_group_days",
        "period_started_days",
    ];
    let has_both = VIEWS.iter().any(|view| report.sql.contains(view));
    if has_both || report.needs.contains(&Need::Usage) {
        &[RollUp::Used, RollUp::Unused]
    } else {
        &[RollUp::Unused]
    }
}

async fn check_parts(history: &History, scattered: &Scattered, is_of_one: bool) {
    let (desk, past) = (Desk::new(), history.past());
    for report in reports() {
        let mut asked = period(history.hubs[0].date(1), history.last());
        if is_of_one && report.scope.contains(&Filter::User) {
            asked.user = Some(USERS[0].to_owned());
        }
        let whole = desk.ask(&past.sources(RollUp::Used), &report, &asked).await;
        for &rollup in roll_ups_of(&report) {
            let sources = scattered.sources(&past, rollup);
            let asked = asked.clone().with_rollup(rollup);
            let parts = desk.ask(&sources, &report, &asked).await;
            assert_same(
                &whole,
                &parts,
                &format!("{}, roll-up {rollup:?}", report.name),
            );
        }
    }
}

/// What reports read of closed days.
const USER_DAYS: &str = "-- title: Days
-- section: Activity
-- question: What did everybody do?
-- definition: Everything that is known of a person's day.
-- scope: none
-- needs: sessions
-- column: hub text The hub.
-- column: day day Day.
-- column: user name Who.
-- column: sessions count Sessions.
-- column: hours hours Hours.
-- column: active_seconds seconds Active.
-- column: cpu_core_seconds number CPU.
-- column: memory_byte_seconds number Memory.
-- column: gpu_seconds number GPUs.
select * except (in_period)
from period_user_days
order by hub, day, user
";

/// It, as a report.
pub(super) fn user_days() -> Arc<Definition> {
    Arc::new(Definition::parse("user-days", USER_DAYS).unwrap())
}

async fn check_user_days(history: &History) {
    let (desk, past, report) = (Desk::new(), history.past(), user_days());
    let asked = period(history.first(), history.last());
    let rolled = desk.ask(&past.sources(RollUp::Used), &report, &asked).await;
    let asked = asked.with_rollup(RollUp::Unused);
    let raw = desk
        .ask(&past.sources(RollUp::Unused), &report, &asked)
        .await;
    assert_same_rows(&rolled, &raw, "days of users");
}

proptest! {
    #![proptest_config(cases(1))]

    #[test]
    fn parts_order_corrections_and_the_roll_up_change_no_answer(
        history in histories(Like::WITH_GAPS),
        seed in any::<u64>(),
        n_parts in 1..4u64,
        is_of_one in any::<bool>(),
    ) {
        run_test(check_parts(&history, &Scattered { seed, n_parts }, is_of_one));
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn days_from_the_rows_themselves_are_those_of_the_roll_up(
        history in histories(Like::WITH_GAPS),
    ) {
        run_test(check_user_days(&history));
    }
}
