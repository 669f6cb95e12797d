//! Limits and times as cgroups and `/proc` write them.

use super::*;
use std::fs;

const PARENT: u32 = 17;

/// A made-up system with files as `path: text`.
struct System {
    root: tempfile::TempDir,
}

impl System {
    fn new(files: &[(&str, &str)]) -> Self {
        let system = Self {
            root: tempfile::tempdir().unwrap(),
        };
        let usual = [
            // Field 22 is the start: 150 s after the boot.
            (
                "proc/17/stat",
                "17 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 15000 0 0",
            ),
            (
                "proc/stat",
                "cpu  100 0 100 5000 7 0 0 0 50 0\ncpu0 1 1\ncpu1 1 1\nctxt 5\nbtime 1795211064\n",
            ),
            (
                "proc/meminfo",
                "MemTotal:        1000 kB\nMemFree:  10 kB\nMemAvailable:    400 kB\n",
            ),
        ];
        for (path, text) in usual.iter().chain(files) {
            system.write(path, text);
        }
        system
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn machine(&self) -> Machine {
        Machine::under(self.root.path(), PARENT)
    }
}

fn started() -> Timestamp {
    "2026-11-20T21:46:54.93Z".parse().unwrap()
}

fn used(machine: &mut Machine) -> (Option<u64>, Option<u64>) {
    let found = machine.look(Some(started()));
    (found.memory_used_bytes, found.memory_total_bytes)
}

#[test]
fn without_limits_it_is_the_whole_machine() {
    let mut machine = System::new(&[]).machine();
    // The folder is gone.
    assert_eq!(used(&mut machine), (None, None));
    let system = System::new(&[("proc/17/cgroup", "0::/")]);
    assert_eq!(
        used(&mut system.machine()),
        (Some(600 * 1024), Some(1000 * 1024))
    );
}

#[test]
fn a_parent_that_is_not_the_hub_is_not_looked_at() {
    let system = System::new(&[]);
    let nothing = MachineUse::default();
    assert_eq!(system.machine().look(None), nothing);
    let other = "2026-11-20T21:47:54Z".parse().unwrap();
    assert_eq!(system.machine().look(Some(other)), nothing);
    let mut other = Machine::under(system.root.path(), 18);
    assert_eq!(other.look(Some(started())), nothing);
}

#[test]
fn the_tightest_limit_of_version_2_counts() {
    let system = System::new(&[
        ("proc/17/cgroup", "0::/pods/hub\n"),
        ("sys/fs/cgroup/pods/hub/memory.max", "max\n"),
        ("sys/fs/cgroup/pods/hub/memory.current", "7\n"),
        ("sys/fs/cgroup/pods/memory.max", "5000\n"),
        ("sys/fs/cgroup/pods/memory.current", "3000\n"),
        (
            "sys/fs/cgroup/pods/memory.stat",
            "anon 1\ninactive_file 1000\n",
        ),
    ]);
    assert_eq!(used(&mut system.machine()), (Some(2000), Some(5000)));
    // More than there is limits nothing.
    system.write("sys/fs/cgroup/pods/memory.max", "99999999\n");
    assert_eq!(used(&mut system.machine()).1, Some(1000 * 1024));
}

#[test]
fn version_1_and_the_folder_of_a_container_are_read_too() {
    let system = System::new(&[
        (
            "proc/17/cgroup",
            "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n",
        ),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000\n"),
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000\n"),
        (
            "sys/fs/cgroup/memory/memory.stat",
            "total_inactive_file 500\n",
        ),
    ]);
    assert_eq!(used(&mut system.machine()), (Some(2500), Some(5000)));
}

#[tokio::test(start_paused = true)]
async fn processor_time_is_a_share_of_what_there_is_since_the_last_look() {
    let system = System::new(&[]);
    let mut machine = system.machine();
    assert_eq!(
        machine.look(Some(started())).cpu_percent,
        None,
        "the first look"
    );
    tokio::time::advance(std::time::Duration::from_secs(10)).await;
    let busy = "cpu  300 0 200 9000 7 100 0 0 50 0\ncpu0 1 1\ncpu1 1 1\nbtime 1795211064\n";
    system.write("proc/stat", busy);
    // 4 of 20 seconds.
    assert_eq!(machine.look(Some(started())).cpu_percent, Some(20.0));
    system.write("proc/17/cgroup", "0::/hub");
    system.write("sys/fs/cgroup/hub/cpu.max", "50000 100000\n");
    system.write("sys/fs/cgroup/hub/cpu.stat", "usage_usec 1000000\n");
    tokio::time::advance(std::time::Duration::from_secs(10)).await;
    assert_eq!(
        machine.look(Some(started())).cpu_percent,
        None,
        "of something else"
    );
    tokio::time::advance(std::time::Duration::from_secs(10)).await;
    system.write("sys/fs/cgroup/hub/cpu.stat", "usage_usec 2000000\n");
    assert_eq!(machine.look(Some(started())).cpu_percent, Some(20.0));
}

#[tokio::test(start_paused = true)]
async fn version_1_limits_processor_time_too() {
    let system = System::new(&[
        ("proc/17/cgroup", "5:cpu,cpuacct:/hub\n"),
        ("sys/fs/cgroup/cpu/hub/cpu.cfs_quota_us", "200000\n"),
        ("sys/fs/cgroup/cpu/hub/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpuacct/hub/cpuacct.usage", "1000000000\n"),
    ]);
    let mut machine = system.machine();
    machine.look(Some(started()));
    tokio::time::advance(std::time::Duration::from_secs(10)).await;
    system.write("sys/fs/cgroup/cpuacct/hub/cpuacct.usage", "6000000000\n");
    assert_eq!(machine.look(Some(started())).cpu_percent, Some(25.0));
}

/// Whatever machine this runs on.
#[tokio::test]
async fn our_own_parent_can_be_looked_at() {
    let parent = std::os::unix::process::parent_id();
    let proc = Proc::under(Path::new("/"));
    let started = proc.started(parent).unwrap();
    let found = Machine::new(parent).look(Some(started));
    let (used, total) = (found.memory_used_bytes, found.memory_total_bytes);
    assert!(used.unwrap() <= total.unwrap(), "{found:?}");
}
