//! The memory of all queries, and who may go on without it.
//!
//! Sorts and groupings that get no more memory put the rest on disk, which is how they are meant.
//! A join by comparison does so too, and then may give fewer rows than there are (DataFusion 55:
//! issues 22641 and 24745; inner joins of a Delta table with itself, twice, gave none at all): it
//! ends with an error instead.

use super::error::{QueryError, Resource};
use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use std::fmt;

/// What joins by comparison call their memory.
const COMPARING_JOIN: &str = "NestedLoopJoinLoad";

/// A pool that does not let joins by comparison go on without memory.
#[derive(Debug)]
pub(super) struct Strict<P>(pub(super) P);

impl<P: fmt::Display> fmt::Display for Strict<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<P: MemoryPool> MemoryPool for Strict<P> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.0.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.0.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.0.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.0.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let outcome = self.0.try_grow(reservation, additional);
        let may_spill = !reservation.consumer().name().starts_with(COMPARING_JOIN);
        match outcome {
            // Only the library's own error is an invitation to put the rest on disk.
            Err(_) if !may_spill => Err(QueryError::TooLarge {
                what: Resource::Memory,
            }
            .into_library()),
            outcome => outcome,
        }
    }

    fn reserved(&self) -> usize {
        self.0.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.0.memory_limit()
    }
}
