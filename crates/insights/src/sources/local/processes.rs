//! Processes of LocalProcessSpawner, SimpleLocalProcessSpawner and their like: a tree for each server.
//!
//! The process at the top of a tree says in its environment whose server it is, as the hub told it. A
//! user can start a process that says the same of somebody else, so it is believed only if the hub is
//! its parent; or if it is where a server would be that the hub started through another program, or
//! that outlived an earlier hub, and
//!
//! - runs under the account that has the user's name (or its name in The Littlest JupyterHub), unless
//!   servers under that account are children of the hub, and it is younger than that; or
//! - runs under the hub's own account and is older than the hub. Where all servers run under the hub's
//!   account, as with the simple spawner, everybody could forge that over a restart of the hub.
//!
//! Everything below the top is charged with it, whatever it says itself, and stays charged when it
//! leaves the tree (its parent ended). What was never seen in a tree and runs under an account that
//! only one user's servers run under is charged to that user; under an account of several users, or
//! the hub's own, it is nobody's. What belongs to a login session of its own (ssh, a console) is not
//! the hub's business.
//!
//! Memory is the proportional set size: pages that processes share count once, divided among them.
//! Asking for it makes the kernel walk through the process's pages, once for each process and look.

use super::LocalError;
use super::accounts::Accounts;
use super::gpus::GpuUse;
use super::ledger::{Charge, Seen, Use};
use super::proc::{Guarded, NamedServer, Proc, Stat, TICKS_PER_SECOND};
use super::tool::Tools;
use super::tree::{Process, ProcessId, Trees};
use crate::machine;
use crate::sources::Note;
use model::homes::tljh_account;
use model::names::UserName;
use model::usage::{Account, Amounts};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The process that gets the orphans of all others. In a container it may be the hub.
const ADOPTER: u32 = 1;
/// A process that says it is a server and was not started by this hub.
const NOT_THE_HUBS: &str = "not started by the hub";
/// A process under an account that servers run under, and in no tree.
const LEFT_ITS_TREE: &str = "left its tree";

/// A process has its own environment only when its program has begun, so a young one is asked again.
const TIMES_ASKED: u8 = 2;

/// Looks at processes.
#[derive(Debug)]
pub(super) struct Processes {
    root: PathBuf,
    proc: Proc,
    hub: Option<u32>,
    /// This service, which no server started; where processes are those of this system.
    own: Option<u32>,
    accounts: Accounts,
    trees: Trees<Charge>,
    /// Whoever is charged once stays charged.
    charged: HashMap<ProcessId, Charge>,
    asked: HashMap<ProcessId, Asked>,
    /// Accounts that servers run under, by number.
    runs: HashMap<u32, Run>,
    /// Control groups of servers.
    groups: HashSet<String>,
}

/// A process that was asked whether it is a server.
#[derive(Debug, Default)]
struct Asked {
    times: u8,
    named: Option<NamedServer>,
    is_denied: bool,
}

/// Servers that ran under an account since this service began.
#[derive(Debug)]
struct Run {
    first_started: u64,
    users: BTreeSet<UserName>,
    /// The hub starts them itself.
    is_direct: bool,
}

/// All processes, each after its parent.
struct Pass {
    all: Vec<Stat>,
    by_pid: HashMap<u32, usize>,
    hub: Option<Hub>,
}

/// Where the hub is.
struct Hub {
    pid: u32,
    started: u64,
    account: Option<u32>,
    /// Whoever adopts its orphans is above it.
    above: HashSet<u32>,
}

/// What is known of a process when those below it are looked at.
#[derive(Clone, Default)]
struct Standing {
    charge: Option<Charge>,
    is_hubs: bool,
}

impl Processes {
    pub(super) fn new(root: &Path, hub: Option<u32>, tools: &Tools) -> Self {
        Self {
            root: root.to_owned(),
            proc: Proc::under(root),
            hub,
            own: (root == Path::new("/")).then(std::process::id),
            accounts: Accounts::new(root, tools),
            trees: Trees::default(),
            charged: HashMap::new(),
            asked: HashMap::new(),
            runs: HashMap::new(),
            groups: HashSet::new(),
        }
    }

    /// Blocks for as long as it takes to read of all processes.
    pub(super) fn look(&mut self, gpus: Option<&GpuUse>) -> Result<Seen, LocalError> {
        let pass = Pass::read(&self.proc, self.hub)?;
        let charges = self.charges(&pass);
        let now = self.read_again(&pass, charges);
        let mut seen = Seen::default();
        let n_denied = self.add_memory(&now, &mut seen);
        self.add_limits(&now, &mut seen);
        if let Some(gpus) = gpus {
            add_gpus(gpus, &now, &mut seen);
        }
        self.add_ticks(now, &mut seen);
        seen.notes = self.notes(n_denied);
        Ok(seen)
    }

    /// Gives the number of users' processes whose memory may not be read.
    fn add_memory(&self, now: &[Process<Charge>], seen: &mut Seen) -> usize {
        let mut n_denied = 0;
        for process in now {
            let Some(charge) = &process.charge else {
                continue;
            };
            let memory_bytes = match self.proc.memory(process.id.pid) {
                Guarded::Known(bytes) => Some(bytes),
                // It has ended, and somebody will wait for it.
                Guarded::None => Some(0.0),
                Guarded::Denied => {
                    n_denied += usize::from(matches!(charge, Charge::Account(_)));
                    None
                }
            };
            seen.uses.entry(charge.clone()).or_default().add(&Use {
                n_things: 1,
                amounts: Amounts {
                    memory_bytes,
                    ..Amounts::default()
                },
                ..Use::default()
            });
        }
        n_denied
    }

    /// The tightest limit that the first process of each server meets, which it may share with others.
    fn add_limits(&self, now: &[Process<Charge>], seen: &mut Seen) {
        let proc = machine::Proc::under(&self.root);
        let of_machine = proc.memory().map(|memory| memory.total_bytes);
        let mut known: HashSet<&Charge> = HashSet::new();
        for process in now {
            let Some(charge @ Charge::Account(_)) = &process.charge else {
                continue;
            };
            if let Some(used) = seen.uses.get_mut(charge).filter(|_| known.insert(charge)) {
                let groups = machine::Groups::of(&self.root, &proc, process.id.pid);
                #[expect(clippy::cast_precision_loss, reason = "8 PiB of memory are exact")]
                let limit = groups
                    .memory(of_machine)
                    .map(|memory| memory.total_bytes as f64);
                used.amounts.memory_limit_bytes = limit;
            }
        }
    }

    fn add_ticks(&mut self, now: Vec<Process<Charge>>, seen: &mut Seen) {
        let Some(ticks) = self.trees.turn(now) else {
            return;
        };
        for (charge, used) in &mut seen.uses {
            let ticks = ticks.get(charge).copied().unwrap_or(0);
            #[expect(
                clippy::cast_precision_loss,
                reason = "2^53 ticks are three million years"
            )]
            let seconds = ticks as f64 / TICKS_PER_SECOND;
            used.cpu_seconds = Some(seconds);
        }
    }

    fn notes(&self, n_denied: usize) -> Vec<Note> {
        let mut notes = Vec::new();
        if n_denied > 0 {
            notes.push(Note {
                about: "memory",
                text: format!(
                    "memory of {n_denied} processes of servers cannot be read, which Linux allows \
                     since 4.14 to their own account and to root: run this service as root or with \
                     the capability `CAP_SYS_PTRACE`"
                ),
            });
        }
        let n_unasked = self.asked.values().filter(|asked| asked.is_denied).count();
        if n_unasked > 0 {
            notes.push(Note {
                about: "processes",
                text: format!(
                    "{n_unasked} processes that the hub started may be servers, and it cannot be read \
                     whose: run this service as root or with the capability `CAP_SYS_PTRACE`"
                ),
            });
        }
        notes
    }

    /// Who is charged for each process.
    fn charges(&mut self, pass: &Pass) -> Vec<Option<Charge>> {
        let mut standings: Vec<Standing> = Vec::with_capacity(pass.all.len());
        for stat in &pass.all {
            let parent = pass.parent(stat);
            let parent = parent.and_then(|index| standings.get(index)).cloned();
            let standing = self.standing(stat, parent.unwrap_or_default(), pass.hub.as_ref());
            standings.push(standing);
        }
        let charges: Vec<_> = standings
            .into_iter()
            .map(|standing| standing.charge)
            .collect();
        let accounts = pass.all.iter().zip(&charges).filter_map(|(stat, charge)| {
            let charge = charge.as_ref()?;
            matches!(charge, Charge::Account(_)).then(|| (stat.id, charge.clone()))
        });
        self.charged = accounts.collect();
        let is_there = |id: &ProcessId| pass.stat(id.pid).is_some_and(|stat| stat.id == *id);
        self.asked.retain(|id, _| is_there(id));
        charges
    }

    fn standing(&mut self, stat: &Stat, parent: Standing, hub: Option<&Hub>) -> Standing {
        let pid = Some(stat.id.pid);
        let is_ours = hub.map(|hub| hub.pid) == pid || self.own == pid;
        let is_hubs = parent.is_hubs || is_ours;
        let charge = if let Some(charge) = self.charged.get(&stat.id) {
            Some(charge.clone())
        } else if parent.charge.is_some() {
            parent.charge
        } else if is_ours || stat.is_kernel_thread {
            None
        } else {
            self.charge_alone(stat, is_hubs, hub)
        };
        Standing { charge, is_hubs }
    }

    /// Of a process that is below nobody who is charged.
    fn charge_alone(&mut self, stat: &Stat, is_hubs: bool, hub: Option<&Hub>) -> Option<Charge> {
        let is_at_its_place =
            hub.is_none_or(|hub| is_hubs || stat.parent <= 1 || hub.above.contains(&stat.parent));
        let is_child = hub.is_some_and(|hub| hub.pid == stat.parent);
        let named = is_at_its_place
            .then(|| self.ask(stat.id, is_child))
            .flatten();
        let says_so = named.is_some();
        let is_proof = is_child && hub.is_none_or(|hub| hub.pid != ADOPTER);
        let named = named.filter(|named| is_proof || self.is_believed(stat, named, hub));
        if let Some(NamedServer { user, server }) = named {
            self.remember(stat, &user, is_proof);
            let server = Some(server);
            return Some(Charge::Account(Account { user, server }));
        }
        let left = self.left(stat, is_hubs, hub);
        left.or_else(|| says_so.then_some(Charge::Nobody(NOT_THE_HUBS)))
    }

    fn ask(&mut self, id: ProcessId, is_child_of_hub: bool) -> Option<NamedServer> {
        let asked = self.asked.entry(id).or_default();
        if asked.named.is_none() && asked.times < TIMES_ASKED {
            asked.times += 1;
            let told = self.proc.named_server(id.pid);
            // What others start is denied as a rule, and is no loss.
            asked.is_denied = is_child_of_hub && told == Guarded::Denied;
            if let Guarded::Known(named) = told {
                asked.named = Some(named);
            }
        }
        asked.named.clone()
    }

    fn is_believed(&mut self, stat: &Stat, named: &NamedServer, hub: Option<&Hub>) -> bool {
        let Some(account) = self.proc.owner(stat.id.pid) else {
            return false;
        };
        let is_old = hub.is_some_and(|hub| stat.id.started < hub.started);
        let is_of_hubs_account = match hub {
            // Its own children cannot be told from those that it adopted.
            Some(hub) if hub.pid == ADOPTER => hub.account == Some(account),
            Some(hub) => is_old && hub.account == Some(account),
            None => self.own_account() == Some(account),
        };
        let is_direct = self.runs.get(&account).is_some_and(|run| run.is_direct);
        let user = named.user.as_str();
        let is_users = |name: &str| name == user || name == tljh_account(user);
        is_of_hubs_account
            || ((is_old || !is_direct) && self.accounts.name(account).is_some_and(is_users))
    }

    fn own_account(&self) -> Option<u32> {
        self.proc.owner(self.own?)
    }

    /// What is needed to know its descendants that leave the tree.
    fn remember(&mut self, stat: &Stat, user: &UserName, is_child: bool) {
        let pid = stat.id.pid;
        if let Some(account) = self.proc.owner(pid) {
            let run = self.runs.entry(account).or_insert_with(|| Run {
                first_started: stat.id.started,
                users: BTreeSet::new(),
                is_direct: false,
            });
            run.is_direct |= is_child;
            run.first_started = run.first_started.min(stat.id.started);
            run.users.insert(user.clone());
        }
        self.groups.extend(self.proc.cgroup(pid));
    }

    /// If the process runs under an account that servers run under, and not since before them.
    fn left(&self, stat: &Stat, is_hubs: bool, hub: Option<&Hub>) -> Option<Charge> {
        let first_of_all = self.runs.values().map(|run| run.first_started).min()?;
        if is_hubs || stat.id.started <= first_of_all {
            return None;
        }
        let account = self.proc.owner(stat.id.pid)?;
        let run = self.runs.get(&account)?;
        let group = self.proc.cgroup(stat.id.pid)?;
        let is_elsewhere = is_login(&group) && !self.groups.contains(&group);
        if stat.id.started <= run.first_started || is_elsewhere {
            return None;
        }
        let hubs_account = match hub {
            Some(hub) => hub.account,
            None => self.own_account(),
        };
        let mut users = run.users.iter();
        match (users.next(), users.next()) {
            (Some(user), None) if hubs_account != Some(account) => Some(Charge::Account(Account {
                user: user.clone(),
                server: None,
            })),
            _ => Some(Charge::Nobody(LEFT_ITS_TREE)),
        }
    }

    /// Times of those that are charged, again and in the same order: what counts is that nobody is
    /// read before the parent, and the order was not known when all were read first.
    fn read_again(&self, pass: &Pass, charges: Vec<Option<Charge>>) -> Vec<Process<Charge>> {
        let mut read: HashMap<u32, ProcessId> = HashMap::new();
        let mut processes = Vec::with_capacity(pass.all.len());
        for (first, charge) in pass.all.iter().zip(charges) {
            let id = first.id;
            let stat = match &charge {
                Some(_) => self.proc.stat(id.pid).filter(|stat| stat.id == id),
                None => Some(*first),
            };
            let Some(stat) = stat else {
                continue;
            };
            processes.push(Process {
                id,
                parent: read
                    .get(&stat.parent)
                    .copied()
                    .filter(|parent| is_older(parent, &id)),
                charge,
                has_ended: stat.has_ended,
                own: stat.own,
                waited: stat.waited,
            });
            read.insert(id.pid, id);
        }
        processes
    }
}

impl Pass {
    fn read(proc: &Proc, hub: Option<u32>) -> Result<Self, LocalError> {
        let pids = proc.pids().map_err(|source| LocalError::NoProcesses {
            path: proc.folder().to_owned(),
            source,
        })?;
        let stats = pids.into_iter().filter_map(|pid| proc.stat(pid));
        let mut pass = Self::in_order(stats.collect());
        if let Some(pid) = hub {
            let stat = pass.stat(pid).ok_or(LocalError::NoHub { pid })?;
            pass.hub = Some(pass.find_hub(&stat, proc.owner(pid)));
        }
        Ok(pass)
    }

    /// Parents first, and of each the oldest first.
    fn in_order(mut stats: Vec<Stat>) -> Self {
        stats.sort_unstable_by_key(|stat| (stat.id.started, stat.id.pid));
        let by_pid: HashMap<u32, Stat> = stats.iter().map(|stat| (stat.id.pid, *stat)).collect();
        let mut children: BTreeMap<Option<u32>, Vec<Stat>> = BTreeMap::new();
        for stat in stats {
            let parent = by_pid.get(&stat.parent);
            let parent = parent.filter(|parent| is_older(&parent.id, &stat.id));
            let parent = parent.map(|parent| parent.id.pid);
            children.entry(parent).or_default().push(stat);
        }
        let mut all = children.remove(&None).unwrap_or_default();
        let mut next = 0;
        while let Some(stat) = all.get(next) {
            let below = children.remove(&Some(stat.id.pid));
            all.extend(below.into_iter().flatten());
            next += 1;
        }
        let by_pid = all.iter().enumerate();
        let by_pid = by_pid.map(|(index, stat)| (stat.id.pid, index));
        Self {
            by_pid: by_pid.collect(),
            all,
            hub: None,
        }
    }

    fn stat(&self, pid: u32) -> Option<Stat> {
        self.by_pid.get(&pid).map(|index| self.all[*index])
    }

    fn parent(&self, stat: &Stat) -> Option<usize> {
        let index = *self.by_pid.get(&stat.parent)?;
        is_older(&self.all[index].id, &stat.id).then_some(index)
    }

    fn find_hub(&self, stat: &Stat, account: Option<u32>) -> Hub {
        let parent = |stat: &Stat| self.parent(stat).map(|index| self.all[index]);
        let above = std::iter::successors(parent(stat), parent).map(|stat| stat.id.pid);
        Hub {
            pid: stat.id.pid,
            started: stat.id.started,
            account,
            above: above.collect(),
        }
    }
}

fn add_gpus(gpus: &GpuUse, now: &[Process<Charge>], seen: &mut Seen) {
    let charges = now
        .iter()
        .map(|process| (process.id.pid, process.charge.as_ref()));
    let charges: HashMap<u32, Option<&Charge>> = charges.collect();
    for (charge, used) in &mut seen.uses {
        let is_theirs = |pid| charges.get(&pid).copied().flatten() == Some(charge);
        used.amounts.gpus_used = gpus.used_by(is_theirs);
    }
}

/// A number that was given to another process meanwhile is not the parent's.
fn is_older(parent: &ProcessId, child: &ProcessId) -> bool {
    parent.started <= child.started
}

/// Whether one of the groups is that of somebody's login or of what it left running, as systemd names
/// them.
fn is_login(groups: &str) -> bool {
    let is_part = |part: &str| {
        let session = part.strip_prefix("session-");
        let manager = part.strip_prefix("user@");
        session.is_some_and(|session| session.strip_suffix(".scope").is_some())
            || manager.is_some_and(|manager| manager.strip_suffix(".service").is_some())
    };
    groups.lines().flat_map(|line| line.split('/')).any(is_part)
}

#[cfg(test)]
mod tests;
