//! GPUs by process, as the driver's tool tells.
//!
//! `nvidia-smi pmon` samples for about a second how busy each process keeps the multiprocessors of
//! each GPU: 0.45 GPUs are 45 % of one. It may not show all GPUs, and tells nothing of parts of one
//! (MIG): a process that holds a GPU and is not in its list is busy to an unknown extent.

use super::tool::{Silence, Tools, ask};
use crate::sources::Note;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Asks what GPUs do.
#[derive(Debug)]
pub(super) struct Gpus {
    tools: Tools,
    /// Where the driver tells which there are.
    driver: PathBuf,
}

/// GPUs that each process keeps busy, by its number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GpuUse {
    by_pid: BTreeMap<u32, Option<f64>>,
}

/// What was told.
#[derive(Debug, Default)]
pub(super) struct GpuLook {
    /// Unknown without a GPU, and without its tool.
    pub(super) used: Option<GpuUse>,
    pub(super) note: Option<Note>,
    /// How many there are.
    pub(super) n_gpus: usize,
}

/// Who started the hub, and with it a service that the hub starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HubUnit {
    /// The Littlest JupyterHub's, which hides devices.
    Littlest,
    Other,
}

impl Gpus {
    pub(super) fn new(root: &Path, tools: &Tools) -> Self {
        Self {
            tools: tools.clone(),
            driver: root.join("proc/driver/nvidia/gpus"),
        }
    }

    pub(super) async fn look(&self, unit: HubUnit) -> GpuLook {
        let n_gpus = std::fs::read_dir(&self.driver).map_or(0, Iterator::count);
        if n_gpus == 0 {
            return GpuLook::default();
        }
        let tool = &self.tools.nvidia_smi;
        let holders = [
            "--query-compute-apps=pid,gpu_uuid,used_memory",
            "--format=csv,noheader,nounits",
        ];
        let holders = ask(tool, holders).await;
        let busy = ask(tool, ["pmon", "-c", "1", "-s", "u"]).await;
        let note = |why: String| GpuLook {
            n_gpus,
            used: None,
            note: Some(Note {
                about: "gpus",
                text: format!(
                    "this machine has {n_gpus} GPUs, and what they do is not known: {why}"
                ),
            }),
        };
        match (holders, busy) {
            (Ok(holders), Ok(busy)) => GpuLook {
                used: Some(GpuUse::parse(&holders, &busy)),
                note: None,
                n_gpus,
            },
            (Ok(holders), Err(_)) => GpuLook {
                used: Some(GpuUse::parse(&holders, "")),
                ..note("`nvidia-smi pmon` does not tell how busy processes keep them".to_owned())
            },
            (Err(silence), _) => note(reason(silence, unit).to_owned()),
        }
    }
}

fn reason(silence: Silence, unit: HubUnit) -> &'static str {
    match (unit, silence) {
        (HubUnit::Littlest, _) => {
            "the hub's unit in The Littlest JupyterHub hides devices from services that the hub \
             starts; set `PrivateDevices=no` with `systemctl edit jupyterhub`, or run this service \
             in a unit of its own"
        }
        (HubUnit::Other, Silence::Absent) => "`nvidia-smi` is not installed",
        (HubUnit::Other, Silence::Failed) => {
            "`nvidia-smi` fails; see whether it works for this service's account"
        }
    }
}

impl GpuUse {
    /// From the comma separated list of who holds GPUs, and the table of `pmon`.
    fn parse(holders: &str, busy: &str) -> Self {
        let mut by_pid = BTreeMap::new();
        let pids = holders.lines().filter_map(|line| line.split(',').next());
        for pid in pids.filter_map(|pid| pid.trim().parse().ok()) {
            by_pid.insert(pid, None);
        }
        for (pid, share) in busy_processes(busy) {
            let sum = by_pid.entry(pid).or_default();
            *sum = Some(sum.unwrap_or(0.0) + share);
        }
        Self { by_pid }
    }

    #[cfg(test)]
    pub(super) fn of(shares: &[(u32, Option<f64>)]) -> Self {
        Self {
            by_pid: shares.iter().copied().collect(),
        }
    }

    /// Processes that use GPUs.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.by_pid.keys().copied()
    }

    /// GPUs that these processes keep busy; unknown if it is of one of them.
    pub(super) fn used_by(&self, is_theirs: impl Fn(u32) -> bool) -> Option<f64> {
        let mut theirs = self.by_pid.iter().filter(|(pid, _)| is_theirs(**pid));
        theirs.try_fold(0.0, |sum, (_, share)| Some(sum + (*share)?))
    }
}

/// Which columns there are depends on the driver, so they are found by the head of the table.
fn busy_processes(table: &str) -> Vec<(u32, f64)> {
    let mut heads = table.lines().filter_map(|line| line.strip_prefix('#'));
    let head: Vec<&str> = heads
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let column = |name: &str| head.iter().position(|column| *column == name);
    let (Some(pid), Some(sm)) = (column("pid"), column("sm")) else {
        return Vec::new();
    };
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let processes = rows.filter_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let pid = fields.get(pid)?.parse().ok()?;
        // `-` is a process that did nothing in that second.
        let percent: f64 = fields.get(sm)?.parse().unwrap_or(0.0);
        Some((pid, percent / 100.0))
    });
    processes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const HOLDERS: &str = "7391, GPU-fef8089b-4820-abfc-e83e-94318197576e, 4521\n\
        7400, GPU-fef8089b-4820-abfc-e83e-94318197576e, 1022\n\
        8101, GPU-0dcd8b3f-cb9a-ba3c-2f46-4a4b4f8f2d3e, 300\n";
    const BUSY: &str = "# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command \n\
        # Idx           #    C/G      %      %      %      %      %      %    name \n\
        \x20   0       7391     C     45     20      -      -      -      -    python         \n\
        \x20   1       7391     C     30     20      -      -      -      -    python         \n\
        \x20   0       7400     C      -      -      -      -      -      -    python         \n\
        \x20   2          -     -      -      -      -      -      -      -    -              \n";

    /// A machine with two GPUs and a tool that does this.
    fn machine(script: &str) -> (tempfile::TempDir, Gpus) {
        let root = tempfile::tempdir().unwrap();
        for gpu in ["0000:3b:00.0", "0000:af:00.0"] {
            fs::create_dir_all(root.path().join("proc/driver/nvidia/gpus").join(gpu)).unwrap();
        }
        let tool = root.path().join("nvidia-smi");
        fs::write(&tool, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        let tools = Tools {
            nvidia_smi: tool,
            ..Tools::default()
        };
        let gpus = Gpus::new(root.path(), &tools);
        (root, gpus)
    }

    #[tokio::test]
    async fn a_process_has_its_shares_of_all_gpus() {
        let script = format!(
            "case $1 in pmon) cat <<'T'\n{BUSY}T\n;; --query-compute-apps=*) cat <<'T'\n{HOLDERS}T\n;; *) exit 9;; esac\n"
        );
        let (_root, gpus) = machine(&script);
        let look = gpus.look(HubUnit::Other).await;
        assert_eq!(look.note, None);
        let used = look.used.unwrap();
        assert_eq!(used.pids().collect::<Vec<_>>(), [7391, 7400, 8101]);
        assert_eq!(used.used_by(|pid| pid == 7391), Some(0.75));
        assert_eq!(used.used_by(|pid| pid == 7400), Some(0.0));
        assert_eq!(used.used_by(|pid| pid == 1), Some(0.0));
        // It holds a GPU that is not in the table.
        assert_eq!(used.used_by(|pid| pid > 7400), None);
    }

    #[tokio::test]
    async fn a_machine_whose_gpus_are_hidden_says_so() {
        let (root, gpus) = machine("echo 'Failed to initialize NVML' >&2; exit 9");
        let look = gpus.look(HubUnit::Littlest).await;
        assert_eq!(look.used, None);
        let text = look.note.unwrap().text;
        assert!(
            text.contains("2 GPUs") && text.contains("PrivateDevices=no"),
            "{text}"
        );
        fs::remove_file(root.path().join("nvidia-smi")).unwrap();
        let text = gpus.look(HubUnit::Other).await.note.unwrap().text;
        assert!(text.ends_with("`nvidia-smi` is not installed"), "{text}");
        // And one without any says nothing.
        fs::remove_dir_all(root.path().join("proc")).unwrap();
        let look = gpus.look(HubUnit::Littlest).await;
        assert_eq!((look.used, look.note), (None, None));
    }

    #[tokio::test]
    async fn without_the_table_it_is_known_who_holds_gpus_and_not_how_busy() {
        let script = format!("[ $1 = pmon ] && exit 2\ncat <<'T'\n{HOLDERS}T\n");
        let (_root, gpus) = machine(&script);
        let look = gpus.look(HubUnit::Other).await;
        let used = look.used.unwrap();
        assert_eq!(used.used_by(|pid| pid == 7391), None);
        assert_eq!(used.used_by(|pid| pid == 1), Some(0.0));
        assert!(look.note.unwrap().text.contains("pmon"));
    }
}
