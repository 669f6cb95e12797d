//! Processor time of trees of processes, between two looks at them.
//!
//! Linux tells of a process what it used itself (`own`), and what those of its children used that
//! ended and that it waited for, with theirs (`waited`). When somebody waits for a child, all that the
//! child had, `own` and `waited`, moves into the parent's `waited`; so the sum over a tree only grows
//! by what is used in it, and a child that lives for 20 ms between two looks is in it as well as one
//! that lives for days. The rule:
//!
//! 1. A process that is there counts with what `own` and `waited` grew by; if it was not there at the
//!    last look, with all of it.
//! 2. Of a process that is gone, what it had at the last look was counted then, and is now once more
//!    in the `waited` of whoever waited for it. It is taken off there, and never more than `waited`
//!    grew by. If its parent still runs, only that can have waited for it. Else it may be any ancestor
//!    that is there: what ended before its parent is in the parent's, and an orphan may have been
//!    adopted by an ancestor (a "subreaper"). The nearest comes first, and what is left goes on to the
//!    next.
//! 3. A look takes a moment, and somebody may wait for a child after the parent was read and before
//!    the child was to be. What could not be taken off is due once more at the next look, before what
//!    is due there for the first time; and again, if a process that may hold it is gone meanwhile.
//!
//! So no time counts twice, in whatever order processes fork, end and are waited for, if parents are
//! read before their children. In a tree in which everybody waits for their children nothing is
//! missed either. Lost is what nobody in the tree can tell: the last moments, since the last look, of
//! the process at the top, of orphans that ended, and of children whose parent ignores `SIGCHLD`; and
//! at most as much as those had used is taken off what else was waited for meanwhile. The simulated
//! kernel of the tests holds the rule to this.
//!
//! Who is charged, and reading `/proc`, do not belong here.

use std::collections::{BTreeMap, HashMap};

/// A process for as long as the machine runs; numbers alone are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ProcessId {
    pub(super) pid: u32,
    /// Ticks after the machine's start.
    pub(super) started: u64,
}

/// A process at a look; times are in ticks.
#[derive(Clone, Debug)]
pub(super) struct Process<C> {
    pub(super) id: ProcessId,
    /// If that was read before it.
    pub(super) parent: Option<ProcessId>,
    /// Nobody has waited for it yet. Its own children are others' already.
    pub(super) has_ended: bool,
    /// Nobody is charged for what has nothing to do with the hub's servers.
    pub(super) charge: Option<C>,
    /// What it used itself.
    pub(super) own: u64,
    /// What children used that it waited for, and theirs.
    pub(super) waited: u64,
}

/// All processes at the last look, and what is still to be taken off.
#[derive(Debug)]
pub(super) struct Trees<C> {
    last: Option<HashMap<ProcessId, Process<C>>>,
    due: Vec<Due>,
}

/// Ticks that were counted of a process which is gone.
#[derive(Clone, Copy, Debug)]
struct Due {
    ticks: u64,
    /// The nearest that may have waited for it.
    from: ProcessId,
    /// Nobody else can have.
    is_certain: bool,
    /// First asked for at this look.
    is_new: bool,
}

impl<C> Default for Trees<C> {
    fn default() -> Self {
        Self {
            last: None,
            due: Vec::new(),
        }
    }
}

impl<C: Clone + Ord> Trees<C> {
    /// Ticks that were used since the last look, by who is charged; unknown at the first look.
    ///
    /// `now` has all processes of the machine, also those that nobody is charged for: one that is
    /// charged from now on counts from its last look.
    pub(super) fn turn(
        &mut self,
        now: impl IntoIterator<Item = Process<C>>,
    ) -> Option<BTreeMap<C, u64>> {
        let before = self.last.take();
        let now = now.into_iter().map(|process| (process.id, process));
        let now = &*self.last.insert(now.collect());
        let due = std::mem::take(&mut self.due);
        let before = &before?;
        let mut turn = Turn {
            before,
            now,
            used: BTreeMap::new(),
            may_hold: HashMap::new(),
            waiting: BTreeMap::new(),
            later: Vec::new(),
        };
        turn.count_growth();
        turn.ask_for(&due);
        turn.take_off();
        self.due = turn.later;
        Some(turn.used)
    }
}

struct Turn<'a, C> {
    before: &'a HashMap<ProcessId, Process<C>>,
    now: &'a HashMap<ProcessId, Process<C>>,
    used: BTreeMap<C, u64>,
    /// What `waited` grew by and nothing was taken off yet.
    may_hold: HashMap<ProcessId, u64>,
    /// By depth and process, so that the last is served first: what it does not hold goes upwards.
    waiting: BTreeMap<(usize, ProcessId), Vec<Due>>,
    later: Vec<Due>,
}

impl<C: Clone + Ord> Turn<'_, C> {
    fn count_growth(&mut self) {
        for process in self.now.values() {
            let Some(charge) = &process.charge else {
                continue;
            };
            let before = self.before.get(&process.id);
            let (own, waited) = before.map_or((0, 0), |before| (before.own, before.waited));
            let waited = process.waited.saturating_sub(waited);
            *self.used.entry(charge.clone()).or_default() +=
                process.own.saturating_sub(own) + waited;
            self.may_hold.insert(process.id, waited);
        }
    }

    fn ask_for(&mut self, due: &[Due]) {
        let gone = self.before.values();
        let gone = gone.filter(|process| !self.now.contains_key(&process.id));
        let gone = gone.filter_map(|process| {
            Some(Due {
                ticks: process.own + process.waited,
                from: process.parent?,
                is_certain: true,
                is_new: true,
            })
        });
        // What is due of somebody who may hold it and is gone now is due of whoever waited for that.
        let has_moved = |due: &Due| {
            let mut upwards = self.upwards(due.from);
            upwards.any(|id| !self.now.contains_key(&id))
        };
        let due = due.iter().map(|due| Due {
            is_new: has_moved(due),
            ..*due
        });
        let all: Vec<Due> = gone.chain(due).collect();
        for mut due in all {
            let parent = self.now.get(&due.from);
            due.is_certain &= parent.is_some_and(|parent| !parent.has_ended);
            if let Some(nearest) = self.nearest(due.from) {
                due.from = nearest;
                self.ask(nearest, due);
            }
        }
    }

    /// The process, or the nearest above it, that is there; `None` if nobody is charged for it.
    fn nearest(&self, id: ProcessId) -> Option<ProcessId> {
        let mut upwards = self.upwards(id);
        let process = upwards.find_map(|id| self.now.get(&id))?;
        process.charge.as_ref().map(|_| process.id)
    }

    fn upwards(&self, id: ProcessId) -> impl Iterator<Item = ProcessId> {
        std::iter::successors(Some(id), move |id| self.before.get(id)?.parent)
    }

    fn ask(&mut self, id: ProcessId, due: Due) {
        let place = (self.upwards(id).count(), id);
        self.waiting.entry(place).or_default().push(due);
    }

    fn take_off(&mut self) {
        while let Some(((_, id), mut asked)) = self.waiting.pop_last() {
            // Those first that are asked for the last time, then those that have nowhere else to go.
            asked.sort_by_key(|due| (due.is_new, !due.is_certain));
            for due in asked {
                self.take_off_at(id, due);
            }
        }
    }

    fn take_off_at(&mut self, id: ProcessId, mut due: Due) {
        let taken = due.ticks.min(self.may_hold.get(&id).copied().unwrap_or(0));
        if let Some(may_hold) = self.may_hold.get_mut(&id) {
            *may_hold -= taken;
        }
        let charge = self
            .now
            .get(&id)
            .and_then(|process| process.charge.as_ref());
        if let Some(used) = charge.and_then(|charge| self.used.get_mut(charge)) {
            *used -= taken;
        }
        due.ticks -= taken;
        if due.ticks == 0 {
            return;
        }
        let parent = self.before.get(&id).and_then(|process| process.parent);
        let above = parent.filter(|_| !due.is_certain);
        match above.and_then(|parent| self.nearest(parent)) {
            Some(next) => self.ask(next, due),
            None if due.is_new => self.later.push(due),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
