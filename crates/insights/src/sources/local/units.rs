//! Units of SystemdSpawner and The Littlest JupyterHub: one for each user, whatever servers it runs.
//!
//! Processor time, memory and limits are those of the unit's control group, network bytes those of
//! systemd's IP accounting. Memory is the working set, as everywhere else. `memory.peak` counts
//! pages of files too, and since the unit's start: it is used where it grew since the last look, less
//! what of it could be dropped at once.

use super::LocalError;
use super::cgroup::{Group, Hierarchy};
use super::counters::{Counted, Counters};
use super::gpus::GpuUse;
use super::ledger::{Charge, Seen, UNKNOWN_USER, Use};
use super::proc::Proc;
use super::tool::{Tools, ask};
use crate::sources::Note;
use model::homes::Template;
use model::names::UserName;
use model::usage::{Account, Amounts};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Looks at units.
#[derive(Debug)]
pub(super) struct Units {
    root: PathBuf,
    slice: String,
    templates: Vec<String>,
    tools: Tools,
    counters: Counters,
    /// As they were at the last look, to tell what `memory.peak` is of.
    last: HashMap<String, Group>,
}

/// A unit that a template could have named.
#[derive(Clone, Debug)]
struct Unit {
    /// With `.service`.
    name: String,
    charge: Charge,
    group: Group,
    /// GPUs that its processes keep busy.
    gpus_used: Option<f64>,
}

/// Bytes since a unit's start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Traffic {
    rx_bytes: Option<f64>,
    tx_bytes: Option<f64>,
}

/// What was found, without what needs the last look.
struct Found {
    units: Vec<Unit>,
    has_slice: bool,
}

impl Units {
    /// Units in this slice that have names of one of these templates.
    pub(super) fn new(root: &Path, slice: &str, templates: &[&str], tools: &Tools) -> Self {
        Self {
            root: root.to_owned(),
            slice: slice.to_owned(),
            templates: templates.iter().map(|text| (*text).to_owned()).collect(),
            tools: tools.clone(),
            counters: Counters::default(),
            last: HashMap::new(),
        }
    }

    pub(super) async fn look(
        &mut self,
        users: &Arc<[UserName]>,
        gpus: Option<&GpuUse>,
    ) -> Result<Seen, LocalError> {
        let finder = Finder {
            root: self.root.clone(),
            slice: self.slice.clone(),
            templates: self.templates.clone(),
            users: Arc::clone(users),
            gpus: gpus.cloned(),
        };
        let found = super::on_thread(move || finder.find()).await??;
        let names = found.units.iter().map(|unit| unit.name.as_str());
        let traffic = self.traffic(names.collect()).await;
        let notes = self.notes(&found);
        Ok(Seen {
            uses: self.uses(found.units, &traffic),
            notes,
        })
    }

    fn uses(
        &mut self,
        units: Vec<Unit>,
        traffic: &HashMap<String, Traffic>,
    ) -> BTreeMap<Charge, Use> {
        let counted = units.iter().map(|unit| {
            let traffic = traffic.get(&unit.name).copied().unwrap_or_default();
            let counted = Counted {
                identity: unit.group.identity,
                cpu_seconds: unit.group.cpu_seconds,
                rx_bytes: traffic.rx_bytes,
                tx_bytes: traffic.tx_bytes,
            };
            (unit.name.clone(), counted)
        });
        let grown = self.counters.turn(counted.collect());
        let mut by_charge: BTreeMap<Charge, Use> = BTreeMap::new();
        let mut now = HashMap::new();
        for unit in units {
            let grown = grown.get(&unit.name).copied().unwrap_or_default();
            let peak_bytes = peak(self.last.get(&unit.name), &unit.group);
            let used = Use {
                n_things: 1,
                cpu_seconds: grown.cpu_seconds,
                rx_bytes: grown.rx_bytes,
                tx_bytes: grown.tx_bytes,
                amounts: Amounts {
                    memory_bytes: unit.group.working_set_bytes,
                    cpu_requested_cores: unit.group.cpu_limit_cores,
                    memory_requested_bytes: unit.group.memory_limit_bytes,
                    memory_limit_bytes: unit.group.memory_limit_bytes,
                    gpus_used: unit.gpus_used,
                    ..Amounts::default()
                },
                peak_bytes,
            };
            by_charge.entry(unit.charge).or_default().add(&used);
            now.insert(unit.name, unit.group);
        }
        self.last = now;
        by_charge
    }

    /// systemd counts bytes only of units with `IPAccounting=yes`.
    async fn traffic(&self, names: Vec<&str>) -> HashMap<String, Traffic> {
        if names.is_empty() {
            return HashMap::new();
        }
        let question = ["show", "--property=Id,IPIngressBytes,IPEgressBytes", "--"];
        let told = ask(&self.tools.systemctl, question.into_iter().chain(names)).await;
        told.map(|text| parse_traffic(&text)).unwrap_or_default()
    }

    fn notes(&self, found: &Found) -> Vec<Note> {
        let mut notes = Vec::new();
        if !found.has_slice {
            notes.push(Note {
                about: "units",
                text: format!(
                    "there is no slice `{}` on this machine: set `local.slice` to that of SystemdSpawner",
                    self.slice
                ),
            });
        }
        let count = |lacks: fn(&Group) -> bool| {
            let units = found.units.iter();
            units.filter(|unit| lacks(&unit.group)).count()
        };
        let n_units =
            count(|group| group.working_set_bytes.is_none() || group.cpu_seconds.is_none());
        if n_units > 0 {
            notes.push(Note {
                about: "memory",
                text: format!(
                    "memory or processor time of {n_units} units is not counted: add \
                     `{{\"MemoryAccounting\": \"yes\", \"CPUAccounting\": \"yes\"}}` to \
                     `c.SystemdSpawner.unit_extra_properties`"
                ),
            });
        }
        notes
    }
}

/// Most memory since the last look, where the kernel saw more than the looks.
fn peak(before: Option<&Group>, now: &Group) -> Option<f64> {
    let before = before.filter(|before| before.identity == now.identity)?;
    let peak = now.peak_bytes?;
    let droppable = now.droppable_bytes?.max(before.droppable_bytes?);
    (peak > before.peak_bytes?).then(|| (peak - droppable).max(0.0))
}

/// Looks for units, away from the runtime's threads.
struct Finder {
    root: PathBuf,
    slice: String,
    templates: Vec<String>,
    users: Arc<[UserName]>,
    gpus: Option<GpuUse>,
}

impl Finder {
    fn find(self) -> Result<Found, LocalError> {
        let Some(hierarchy) = Hierarchy::under(&self.root) else {
            let path = Hierarchy::folder(&self.root);
            return Err(LocalError::NoControlGroups { path });
        };
        let services = hierarchy.services(&self.slice);
        let has_slice = services.is_some();
        let owners = owners(&self.users, &self.templates);
        let outlines: Vec<Outline> = self.templates.iter().map(|t| Outline::of(t)).collect();
        let groups_of_gpus = self.groups_of_gpus();
        let units = services.into_iter().flatten().filter_map(|(name, path)| {
            let charge = match owners.get(&name) {
                Some(Some(user)) => Charge::Account(Account {
                    user: user.clone(),
                    server: None,
                }),
                Some(None) => Charge::Nobody(UNKNOWN_USER),
                None if outlines.iter().any(|outline| outline.fits(&name)) => {
                    Charge::Nobody(UNKNOWN_USER)
                }
                None => return None,
            };
            // One that is gone since the folder was read is no news.
            let group = hierarchy.read(&path)?;
            let gpus_used = self.gpus.as_ref().and_then(|gpus| {
                gpus.used_by(|pid| {
                    let groups = groups_of_gpus.get(&pid);
                    groups.is_some_and(|groups| is_within(groups, &path))
                })
            });
            Some(Unit {
                name,
                charge,
                group,
                gpus_used,
            })
        });
        Ok(Found {
            units: units.collect(),
            has_slice,
        })
    }

    /// Control groups of the processes that use GPUs.
    fn groups_of_gpus(&self) -> HashMap<u32, String> {
        let proc = Proc::under(&self.root);
        let pids = self.gpus.iter().flat_map(GpuUse::pids);
        pids.filter_map(|pid| Some((pid, proc.cgroup(pid)?)))
            .collect()
    }
}

/// Whether one of the lines of a process's `cgroup` leads into this folder.
fn is_within(groups: &str, folder: &Path) -> bool {
    let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut paths = paths.map(|path| Path::new(path.trim_start_matches('/')));
    paths.any(|path| path.starts_with(folder))
}

/// Whose unit has which name; nobody's if it would be that of two.
fn owners(users: &[UserName], templates: &[String]) -> HashMap<String, Option<UserName>> {
    let mut owners: HashMap<String, Option<UserName>> = HashMap::new();
    for template in templates {
        let template = Template::new(template);
        for user in users {
            let owner = owners.entry(unit_name(&template.name_of(user)));
            owner
                .and_modify(|owner| *owner = owner.take().filter(|owner| owner == user))
                .or_insert_with(|| Some(user.clone()));
        }
    }
    owners
}

/// The unit that `systemd-run --unit` makes of a name: `/` becomes `-`, and whatever cannot be in a
/// unit's name is escaped.
fn unit_name(name: &str) -> String {
    let mut made = String::with_capacity(name.len() + ".service".len());
    for byte in name.bytes() {
        match byte {
            b'/' => made.push('-'),
            b'@' | b':' | b'-' | b'_' | b'.' | b'\\' => made.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => made.push(char::from(byte)),
            // Writing into a String cannot fail.
            byte => _ = write!(made, "\\x{byte:02x}"),
        }
    }
    if !made.ends_with(".service") {
        made.push_str(".service");
    }
    made
}

/// What stands in a template before and after the user's name.
struct Outline {
    start: String,
    end: String,
}

impl Outline {
    fn of(template: &str) -> Self {
        let start = template.split('{').next().unwrap_or_default();
        let end = template.rsplit('}').next().filter(|end| *end != template);
        Self {
            start: unit_name(start).trim_end_matches(".service").to_owned(),
            end: unit_name(end.unwrap_or_default()),
        }
    }

    /// Whether the name could be of somebody's unit. A template that begins with the user's name
    /// could be of any.
    fn fits(&self, name: &str) -> bool {
        !self.start.is_empty()
            && name.len() > self.start.len() + self.end.len()
            && name.starts_with(&self.start)
            && name.ends_with(&self.end)
    }
}

/// Blocks of `Id=…`, `IPIngressBytes=…` and `IPEgressBytes=…`, with an empty line between two.
fn parse_traffic(text: &str) -> HashMap<String, Traffic> {
    let mut units = HashMap::new();
    for block in text.split("\n\n") {
        let value = |key: &str| {
            let mut fields = block.lines().filter_map(|line| line.split_once('='));
            fields
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value)
        };
        // `[no data]`, or in older versions the largest number.
        let bytes = |key: &str| -> Option<f64> {
            let bytes: u64 = value(key)?.parse().ok()?;
            #[expect(
                clippy::cast_precision_loss,
                reason = "beyond 2^53 bytes nobody counts them singly"
            )]
            (bytes != u64::MAX).then_some(bytes as f64)
        };
        if let Some(id) = value("Id") {
            let traffic = Traffic {
                rx_bytes: bytes("IPIngressBytes"),
                tx_bytes: bytes("IPEgressBytes"),
            };
            units.insert(id.to_owned(), traffic);
        }
    }
    units
}

#[cfg(test)]
mod tests;
