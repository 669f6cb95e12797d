//! What is shared of the usage: who writes it down, and how the last look went.

use super::meter::Meters;
use crate::sources::machines::MachineNow;
use crate::sources::{Homes, Note, SourceError};
use jiff::Timestamp;
use model::names::UserName;
use model::snapshot::Dated;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Keeper;

/// The last look, for health and metrics, and the keeper of the history.
#[derive(Default)]
pub struct Usage {
    state: Mutex<State>,
    meters: Mutex<Meters>,
}

impl std::fmt::Debug for Usage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Usage")
            .field(&self.condition())
            .finish()
    }
}

#[derive(Default)]
struct State {
    keeper: Option<Keeper>,
    /// Counts the keepers that there were.
    generation: u64,
    condition: Option<Condition>,
    /// As they were last looked at.
    homes: Option<Arc<Homes>>,
    /// Of the last look that was complete.
    machines: Option<Dated<Arc<[MachineNow]>>>,
}

/// How the last look went. Names nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Where it is read: `prometheus`, `local`, `simulated`.
    pub source: &'static str,
    /// When a look was last complete.
    pub last_complete: Option<Timestamp>,
    /// How long the last one took.
    pub duration: Duration,
    /// Looks that were complete, and that were not.
    pub n_ok: u64,
    /// Looks that failed.
    pub n_failed: u64,
    /// Errors by kind, of looks and of hours that closed.
    pub errors: BTreeMap<&'static str, u64>,
    /// Kind of the last look's error and what to do, if it failed.
    pub error: Option<Failure>,
    /// What the administrator should know.
    pub notes: Vec<Note>,
    /// Why closed hours cannot be written, if they cannot.
    pub hours_error: Option<Failure>,
}

/// Why a look failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it is counted under.
    pub kind: &'static str,
    /// What the administrator can do.
    pub remedy: &'static str,
}

impl Failure {
    /// What to tell of an error.
    pub fn of(error: &SourceError) -> Self {
        match error {
            SourceError::Prometheus(error) => Self {
                kind: error.kind(),
                remedy: error.remedy(),
            },
            SourceError::Local(error) => Self {
                kind: error.kind(),
                remedy: error.remedy(),
            },
        }
    }
}

impl Usage {
    /// Rows go there from now on.
    pub fn open(&self, keeper: Keeper) {
        let mut state = self.state();
        state.keeper = Some(keeper);
        state.generation += 1;
    }

    /// Rows go nowhere any more: another process keeps the history, or this one ends.
    pub fn close(&self) {
        self.state().keeper = None;
    }

    /// Another number for each time that this process became the one that keeps the history.
    pub(super) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Who keeps the history, if this process does.
    pub fn keeper(&self) -> Option<Keeper> {
        self.state().keeper.clone()
    }

    /// How the last look went; `None` if usage is read nowhere.
    pub fn condition(&self) -> Option<Condition> {
        self.state().condition.clone()
    }

    /// What each server has used since it started.
    pub fn meters(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How large a user's home was when homes were last looked at, in bytes; `None` if that was not
    /// since this process began, or there is none.
    pub fn home_bytes(&self, user: &UserName) -> Option<Dated<f64>> {
        let homes = self.state().homes.clone()?;
        let place = homes.sizes.binary_search_by(|home| home.user.cmp(user));
        Some(Dated {
            value: homes.sizes.get(place.ok()?)?.bytes,
            at: homes.at,
        })
    }

    /// Whether homes were looked at since this process began.
    pub fn has_homes(&self) -> bool {
        self.state().homes.is_some()
    }

    /// The machines that servers run on, as the last look saw them; `None` before it. None at all
    /// where nobody tells of them.
    pub fn machines(&self) -> Option<Dated<Arc<[MachineNow]>>> {
        self.state().machines.clone()
    }

    pub(super) fn saw_machines(&self, machines: &[MachineNow], at: Timestamp) {
        self.state().machines = Some(Dated {
            value: machines.into(),
            at,
        });
    }

    pub(super) fn saw_homes(&self, homes: &Homes) {
        self.state().homes = Some(Arc::new(homes.clone()));
    }

    /// Usage is read from there, and no look has been taken.
    pub(super) fn expect(&self, source: &'static str) {
        self.state().condition.get_or_insert(Condition {
            source,
            last_complete: None,
            duration: Duration::ZERO,
            n_ok: 0,
            n_failed: 0,
            errors: BTreeMap::new(),
            error: None,
            notes: Vec::new(),
            hours_error: None,
        });
    }

    pub(super) fn complete(&self, at: Timestamp, duration: Duration, notes: Vec<Note>) {
        if let Some(condition) = &mut self.state().condition {
            condition.last_complete = Some(at);
            condition.duration = duration;
            condition.n_ok += 1;
            condition.error = None;
            condition.notes = notes;
        }
    }

    /// Nothing is looked at, for these reasons.
    pub(super) fn absent(&self, notes: Vec<Note>) {
        if let Some(condition) = &mut self.state().condition {
            condition.notes = notes;
        }
    }

    pub(super) fn failed(&self, failure: Failure, duration: Duration) {
        if let Some(condition) = &mut self.state().condition {
            condition.duration = duration;
            condition.n_failed += 1;
            *condition.errors.entry(failure.kind).or_default() += 1;
            condition.error = Some(failure);
        }
    }

    pub(super) fn hours_are(&self, error: Option<Failure>) {
        if let Some(condition) = &mut self.state().condition {
            if let Some(failure) = error {
                *condition.errors.entry(failure.kind).or_default() += 1;
            }
            condition.hours_error = error;
        }
    }

    /// Each value is set in one step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
