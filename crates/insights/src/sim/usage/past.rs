//! What the present goes on from.

use super::home::Home;
use super::machine::Machine;
use super::{Moment, load_of};
use crate::sim::World;
use jiff::Timestamp;
use model::names::UserName;
use model::usage::Increment;
use std::collections::HashMap;

/// Where a made-up past ends, for [`super::SimUsage`] to go on from.
#[derive(Clone, Debug)]
pub struct Past {
    pub(in crate::sim) seed: u64,
    /// Until when everything that was used is told.
    pub(in crate::sim) until: Option<Timestamp>,
    pub(in crate::sim) machine: Machine,
    pub(in crate::sim) homes: HashMap<UserName, Home>,
    /// Placeholder pods.
    pub(in crate::sim) n_places: u32,
    /// What was used in the hour that had not ended, and is in no row.
    pub(in crate::sim) unclosed: Vec<Increment>,
}

impl Past {
    /// Of a world that has none: as large a machine as it needs now, and some more.
    pub fn none(world: &World, seed: u64, now: Timestamp) -> Self {
        let load = load_of(world, &Moment { seed, at: now });
        Self {
            seed,
            until: None,
            machine: Machine::holding(&load.times(1.4)),
            homes: HashMap::new(),
            n_places: 2,
            unclosed: Vec::new(),
        }
    }

    /// What was used in the hour that had not ended: to be written with the rest of it.
    pub fn unclosed(&self) -> &[Increment] {
        &self.unclosed
    }
}
