//! Decides what counts: events as they come, and the hub's own counts as they are read.
//!
//! Shared by whoever takes events and whoever reads the hub, since each process of the hub has one
//! source of the two ([`super::sources`]). What it remembers is kept in the transactions of what it
//! counts.

use super::derived::{self, HELLO, Naming, SOURCE};
use super::hub_counts::{HubCounts, Look};
use super::sources::{ByGroup, Change, Group, Source, Sources};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::tables::Event;
use store::{Intake, Keeper, Position, StoreError, Tally};

/// Under which names the decisions are kept: by whom they were made, since two write at once.
const HELLOS: &str = "counting: hellos of hooks";
const HISTOGRAMS: &str = "counting: processes without hooks";
/// Under which name the hub's counts are kept.
const HUB_COUNTS: &str = "counting: counts of the hub";
/// Older events are history: who scrapes now did not see it happen.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// How an event comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// While it happens, or as soon as it could be sent.
    Live,
    /// From an archive, or a file that is read from the beginning.
    #[default]
    Stored,
}

/// What counts in this process.
#[derive(Debug)]
pub struct Counting {
    naming: Naming,
    sources: Mutex<ByGroup<Sources>>,
}

impl Counting {
    /// Knows of no source yet.
    pub fn new(naming: Naming) -> Self {
        Self {
            naming,
            sources: Mutex::default(),
        }
    }

    /// Goes on from what was kept.
    pub async fn restore(&self, keeper: &Keeper) -> Result<(), StoreError> {
        let mut changes: ByGroup<Vec<Change>> = ByGroup::default();
        for name in [HELLOS, HISTOGRAMS] {
            let kept: Option<ByGroup<Vec<Change>>> = read(keeper, name).await?;
            let kept = kept.unwrap_or_default();
            for group in Group::ALL {
                changes.of_mut(group).extend(kept.of(group));
            }
        }
        *self.sources() = changes.map(|changes| Sources::of(changes.iter().copied()));
        Ok(())
    }

    /// What was counted of the hub so far.
    pub async fn hub_counts(keeper: &Keeper) -> Result<HubCounts, StoreError> {
        Ok(read(keeper, HUB_COUNTS).await?.unwrap_or_default())
    }

    /// Adds an event to an intake, with what it counts.
    pub fn add_event(
        &self,
        intake: &mut Intake,
        event: &Event,
        arrival: Arrival,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let is_young = now.duration_since(event.at) <= YOUNG;
        if arrival == Arrival::Stored || !is_young || &*event.source != SOURCE {
            return Ok(intake.event(event)?);
        }
        let tallies = if &*event.kind == HELLO {
            self.hear_hello(intake, event)?
        } else {
            let group = derived::group_of(&event.kind);
            let counts =
                group.is_some_and(|group| self.sources().of(group).count_events_of(event.at));
            if counts {
                derived::tallies(event, self.naming)
            } else {
                Vec::new()
            }
        };
        Ok(intake.counted_event(event, tallies)?)
    }

    /// A process says that it has the hooks. That is kept also if it was heard before: what it came
    /// with then may not have been.
    fn hear_hello(&self, intake: &mut Intake, hello: &Event) -> Result<Vec<Tally>, StoreError> {
        let mut sources = self.sources();
        let mut tallies = Vec::new();
        let groups = Group::ALL.into_iter();
        for group in groups.filter(|group| derived::has_hooks_of(hello, *group)) {
            let sources = sources.of_mut(group);
            sources.hear_hello(hello.at);
            if sources.count_events_of(hello.at) {
                tallies.extend(derived::begin(hello, group));
            }
        }
        let hellos = sources.map(|sources| sources.changes_to(Source::Hooks));
        intake.position(kept(HELLOS, &hellos)?);
        Ok(tallies)
    }

    /// Adds what a look at the hub's counts brings; `hub_counts` are as they were before.
    ///
    /// If the intake fails, so does the whole look: `hub_counts` have to be taken back.
    pub fn add_look(
        &self,
        intake: &mut Intake,
        hub_counts: &mut HubCounts,
        look: &Look<'_>,
    ) -> Result<(), StoreError> {
        let mut sources = self.sources();
        let tallies = hub_counts.look(look, &mut sources);
        let processes = sources.map(|sources| sources.changes_to(Source::Histograms));
        drop(sources);
        for tally in tallies {
            intake.tally(tally);
        }
        intake.position(kept(HISTOGRAMS, &processes)?);
        intake.position(kept(HUB_COUNTS, hub_counts)?);
        Ok(())
    }

    /// Decisions are made in one step.
    fn sources(&self) -> MutexGuard<'_, ByGroup<Sources>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kept<T: serde::Serialize>(name: &str, value: &T) -> Result<Position, StoreError> {
    let value = serde_json::to_string(value).map_err(store::StateError::from)?;
    Ok(Position {
        source: name.to_owned(),
        value,
    })
}

/// What cannot be read, as another version may have kept it, is as if it were not there.
async fn read<T: serde::de::DeserializeOwned>(
    keeper: &Keeper,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let kept = keeper.position(name).await?;
    Ok(kept.and_then(|text| serde_json::from_str(&text).ok()))
}
