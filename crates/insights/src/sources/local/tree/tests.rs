//! The rule on trees written by hand, and on those of a simulated kernel against what was used.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

const INIT: u32 = 1;
/// Child of the init process, like a hub; what is below it is charged.
const TOP: u32 = 2;

fn id(pid: u32) -> ProcessId {
    ProcessId { pid, started: 0 }
}

/// `pid parent own waited`, one process each; all are charged but the parent 1, which is not seen.
fn look(text: &str) -> Vec<Process<&'static str>> {
    let numbers = |line: &str| -> Vec<u64> {
        let words = line.split_whitespace();
        words.map(|word| word.parse().unwrap()).collect()
    };
    let mut seen = HashSet::new();
    let lines = text.split(',').map(|line| {
        let [pid, parent, own, waited] = numbers(line)[..] else {
            panic!("{line}");
        };
        let (pid, parent) = (u32::try_from(pid).unwrap(), u32::try_from(parent).unwrap());
        seen.insert(pid);
        Process {
            id: id(pid),
            parent: seen.contains(&parent).then(|| id(parent)),
            charge: Some("ada"),
            has_ended: false,
            own,
            waited,
        }
    });
    lines.collect()
}

/// Looks, and what each but the first must bring.
fn check(looks: &[(&str, u64)]) {
    let mut trees = Trees::default();
    for (n, (text, expected)) in looks.iter().enumerate() {
        let used = trees.turn(look(text)).map(|used| used["ada"]);
        assert_eq!(used, (n > 0).then_some(*expected), "look {n}: {text}");
    }
}

#[test]
fn a_child_that_lived_between_two_looks_counts() {
    check(&[("2 1 10 0", 0), ("2 1 11 7", 8), ("2 1 11 7", 0)]);
}

#[test]
fn what_was_counted_of_a_child_does_not_count_again_when_it_ends() {
    check(&[
        ("2 1 10 0, 3 2 500 40", 0),
        ("2 1 10 0, 3 2 600 40", 100),
        // 60 more of its own, and 5 of another child.
        ("2 1 10 705", 65),
    ]);
}

#[test]
fn a_grandchild_that_its_parent_waited_for_is_in_the_parents() {
    check(&[
        ("2 1 0 0, 3 2 5 0, 4 3 1000 0", 0),
        ("2 1 0 1007", 2),
        ("2 1 0 1007", 0),
    ]);
}

#[test]
fn an_orphan_may_have_been_adopted_higher_up() {
    // 4 ended before 5; 2 adopts 5 and waits for it: what 3 holds is of another child.
    check(&[
        ("2 1 0 0, 3 2 0 0, 4 3 0 0, 5 4 1000 0", 0),
        ("2 1 0 1010, 3 2 0 20", 30),
    ]);
}

#[test]
fn a_child_that_was_waited_for_during_the_look_is_taken_off_at_the_next() {
    check(&[
        ("2 1 0 0, 3 2 1000 0", 0),
        ("2 1 0 0", 0),
        ("2 1 0 1004", 4),
        ("2 1 0 2000", 996),
    ]);
    // And once only, where nobody waited for it.
    check(&[
        ("2 1 0 0, 3 2 1000 0", 0),
        ("2 1 0 0", 0),
        ("2 1 0 0", 0),
        ("2 1 0 300", 300),
    ]);
}

#[test]
fn children_of_one_that_has_ended_may_be_others() {
    // 3 has ended and nobody waited for it; 2 had adopted its child 4.
    let mut trees = Trees::default();
    trees.turn(look("2 1 0 0, 3 2 0 0, 4 3 1000 0"));
    let mut now = look("2 1 0 1001, 3 2 0 0");
    now[1].has_ended = true;
    assert_eq!(trees.turn(now), Some(BTreeMap::from([("ada", 1)])));
}

#[test]
fn a_number_that_is_used_again_is_another_process() {
    let mut trees = Trees::default();
    let mut process = look("2 1 500 0").remove(0);
    trees.turn([process.clone()]);
    process.id.started = 9;
    process.own = 3;
    assert_eq!(trees.turn([process]), Some(BTreeMap::from([("ada", 3)])));
}

#[test]
fn who_is_charged_from_now_on_counts_since_the_last_look() {
    let mut trees = Trees::default();
    let uncharged = |text| {
        let processes = look(text).into_iter();
        processes.map(|process| Process {
            charge: None,
            ..process
        })
    };
    assert_eq!(trees.turn(uncharged("2 1 500 70, 3 2 40 0")), None);
    let nobody = Some(BTreeMap::new());
    assert_eq!(trees.turn(uncharged("2 1 510 70, 3 2 50 0")), nobody);
    // One more of its own, and two of the child.
    let used = trees.turn(look("2 1 511 122"));
    assert_eq!(used, Some(BTreeMap::from([("ada", 3)])));
}

/// A process of the simulated kernel.
#[derive(Clone, Debug)]
struct Task {
    parent: u32,
    own: u64,
    waited: u64,
    has_ended: bool,
    adopts: bool,
    ignores_children: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Use(usize, u64),
    Fork(usize),
    /// With what it does about its children.
    ForkAdopter(usize),
    ForkHeartless(usize),
    End(usize),
    /// As a good parent does: after all its children ended and were waited for.
    EndKindly(usize),
    Wait(usize),
    Look,
}

impl Step {
    fn is_no_look(&self) -> bool {
        !matches!(self, Self::Look)
    }
}

/// Forks, ends and waits as Linux does; and who looks.
struct Kernel {
    tasks: BTreeMap<u32, Task>,
    next: u32,
    /// Used by ours since the first look.
    used: u64,
    /// Of those whose times moved out of the tree.
    lost: u64,
    trees: Trees<&'static str>,
    counted: u64,
    known: HashSet<u32>,
    is_watched: bool,
}

impl Kernel {
    fn new() -> Self {
        let top = Task {
            parent: INIT,
            own: 0,
            waited: 0,
            has_ended: false,
            adopts: false,
            ignores_children: false,
        };
        Self {
            tasks: BTreeMap::from([(TOP, top)]),
            next: TOP + 1,
            used: 0,
            lost: 0,
            trees: Trees::default(),
            counted: 0,
            known: HashSet::from([TOP]),
            is_watched: false,
        }
    }

    /// One of those that run.
    fn pick(&self, index: usize) -> u32 {
        let running: Vec<u32> = self.running().collect();
        running[index % running.len()]
    }

    fn running(&self) -> impl Iterator<Item = u32> {
        let tasks = self.tasks.iter();
        tasks
            .filter(|(_, task)| !task.has_ended)
            .map(|(pid, _)| *pid)
    }

    fn children(&self, parent: u32) -> Vec<u32> {
        let tasks = self.tasks.iter();
        let children = tasks.filter(|(_, task)| task.parent == parent);
        children.map(|(pid, _)| *pid).collect()
    }

    fn fork(&mut self, parent: u32, adopts: bool, ignores_children: bool) {
        let task = Task {
            parent,
            own: 0,
            waited: 0,
            has_ended: false,
            adopts,
            ignores_children,
        };
        self.tasks.insert(self.next, task);
        self.next += 1;
    }

    fn end(&mut self, pid: u32) {
        // The top does not end: what is lost then is no question of the rule.
        if pid == TOP {
            return;
        }
        let adopter = self.adopter_of(pid);
        for child in self.children(pid) {
            self.tasks.get_mut(&child).unwrap().parent = adopter;
            if adopter == INIT && self.tasks[&child].has_ended {
                self.forget(child);
            }
        }
        let task = self.tasks.get_mut(&pid).unwrap();
        task.has_ended = true;
        let parent = task.parent;
        if parent == INIT || self.tasks[&parent].ignores_children {
            self.forget(pid);
        }
    }

    fn end_kindly(&mut self, pid: u32) {
        for child in self.children(pid) {
            self.end_kindly(child);
        }
        while !self.children(pid).is_empty() {
            self.wait(pid);
        }
        self.end(pid);
    }

    /// Nobody in the tree learns what it used.
    fn forget(&mut self, pid: u32) {
        let task = self.tasks.remove(&pid).unwrap();
        self.lost += task.own + task.waited;
    }

    fn adopter_of(&self, pid: u32) -> u32 {
        let mut above = self.tasks[&pid].parent;
        while above != INIT && !self.tasks[&above].adopts {
            above = self.tasks[&above].parent;
        }
        above
    }

    fn wait(&mut self, parent: u32) {
        let children = self.children(parent).into_iter();
        let ended = children.filter(|child| self.tasks[child].has_ended);
        let Some(child) = ended.min() else {
            return;
        };
        let child = self.tasks.remove(&child).unwrap();
        self.tasks.get_mut(&parent).unwrap().waited += child.own + child.waited;
    }

    /// The next step; a look has others meanwhile.
    fn run(&mut self, step: Step, meanwhile: &[Step]) {
        match step {
            Step::Look => {
                let meanwhile = meanwhile.iter().copied().filter(Step::is_no_look);
                self.look(&meanwhile.collect::<Vec<_>>());
            }
            Step::Use(index, ticks) => {
                let pid = self.pick(index);
                self.tasks.get_mut(&pid).unwrap().own += ticks;
                self.used += if self.is_watched { ticks } else { 0 };
            }
            Step::Fork(index) => self.fork(self.pick(index), false, false),
            Step::ForkAdopter(index) => self.fork(self.pick(index), true, false),
            Step::ForkHeartless(index) => self.fork(self.pick(index), false, true),
            Step::End(index) => self.end(self.pick(index)),
            Step::EndKindly(index) => self.end_kindly(self.pick(index)),
            Step::Wait(index) => self.wait(self.pick(index)),
        }
    }

    /// Looks at the tree and then, parents first, at each process, while things go on.
    fn look(&mut self, meanwhile: &[Step]) {
        let mut order: Vec<(usize, u32)> = Vec::new();
        for (&pid, task) in &self.tasks {
            let depth = std::iter::successors(Some(task.parent), |pid| {
                self.tasks.get(pid).map(|task| task.parent)
            });
            order.push((depth.count(), pid));
            if self.known.contains(&task.parent) {
                self.known.insert(pid);
            }
        }
        order.sort_unstable();
        if !self.is_watched {
            self.is_watched = true;
            self.lost = 0;
        }
        let mut meanwhile = meanwhile.iter();
        let mut read: Vec<Process<&'static str>> = Vec::new();
        for (_, pid) in order {
            if let Some(step) = meanwhile.next() {
                self.run(*step, &[]);
            }
            let Some(task) = self.tasks.get(&pid) else {
                continue;
            };
            let parent = id(task.parent);
            read.push(Process {
                id: id(pid),
                parent: read
                    .iter()
                    .any(|other| other.id == parent)
                    .then_some(parent),
                charge: self.known.contains(&pid).then_some("ada"),
                has_ended: task.has_ended,
                own: task.own,
                waited: task.waited,
            });
        }
        let used = self.trees.turn(read).unwrap_or_default();
        self.counted += used.get("ada").copied().unwrap_or(0);
    }

    /// What ours used that were never seen in the tree.
    fn unseen(&self) -> u64 {
        let unseen = self
            .tasks
            .iter()
            .filter(|(pid, _)| !self.known.contains(pid));
        unseen.map(|(_, task)| task.own + task.waited).sum()
    }
}

fn kind_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<usize>(), 1..1000_u64).prop_map(|(index, ticks)| Step::Use(index, ticks)),
        4 => any::<usize>().prop_map(Step::Fork),
        4 => any::<usize>().prop_map(Step::Wait),
        3 => any::<usize>().prop_map(Step::EndKindly),
        2 => Just(Step::Look),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => kind_step(),
        1 => any::<usize>().prop_map(Step::ForkAdopter),
        1 => any::<usize>().prop_map(Step::ForkHeartless),
        4 => any::<usize>().prop_map(Step::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn where_everybody_waits_for_their_children_every_tick_counts_once(
        steps in proptest::collection::vec(kind_step(), 1..150),
        meanwhile in proptest::collection::vec(kind_step(), 0..30),
    ) {
        let mut kernel = Kernel::new();
        kernel.look(&[]);
        for step in steps {
            kernel.run(step, &meanwhile);
            prop_assert!(kernel.counted <= kernel.used);
        }
        // What was waited for during a look is right after the next one.
        kernel.look(&[]);
        kernel.look(&[]);
        prop_assert_eq!(kernel.lost, 0);
        prop_assert_eq!(kernel.counted, kernel.used);
    }

    #[test]
    fn nothing_counts_twice_and_only_what_is_lost_is_missed(
        before in proptest::collection::vec(any_step(), 0..60),
        steps in proptest::collection::vec(any_step(), 1..150),
        meanwhile in proptest::collection::vec(any_step(), 0..30),
    ) {
        let mut kernel = Kernel::new();
        for step in before.into_iter().filter(Step::is_no_look) {
            kernel.run(step, &[]);
        }
        kernel.look(&[]);
        for step in steps {
            kernel.run(step, &meanwhile);
            prop_assert!(kernel.counted <= kernel.used);
        }
        kernel.look(&[]);
        kernel.look(&[]);
        let missed = kernel.used.checked_sub(kernel.counted);
        prop_assert!(missed.is_some(), "{} of {}", kernel.counted, kernel.used);
        // What is lost itself, and as much that it is mistaken for.
        let lost = 2 * (kernel.lost + kernel.unseen());
        prop_assert!(missed.unwrap() <= lost, "{missed:?} of {lost}");
    }
}
