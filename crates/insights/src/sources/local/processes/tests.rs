//! Who is charged, on made-up processes.

use super::*;
use std::fs;

/// The accounts of the system, as in its file.
const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nada:x:1001:1001::/home/ada:/bin/sh\n\
    jupyter-ben:x:1002:1002::/home/jupyter-ben:/bin/sh\nshared:x:1003:1003::/srv:/bin/sh\n";

const HUB: u32 = 10;

/// A system whose hub is process 10, started at 1000 by root, a child of 1.
struct System {
    root: tempfile::TempDir,
    processes: Processes,
}

/// A process: what is not said is usual.
#[derive(Clone, Copy)]
struct Sketch<'a> {
    pid: u32,
    parent: u32,
    started: u64,
    account: u32,
    /// `user/server`, or nothing.
    says: &'a str,
    group: &'a str,
    flags: u64,
    own: u64,
    waited: u64,
}

fn process(pid: u32, parent: u32) -> Sketch<'static> {
    Sketch {
        pid,
        parent,
        started: 1000 + u64::from(pid),
        account: 0,
        says: "",
        group: "/system.slice/jupyterhub.service",
        flags: 0,
        own: 0,
        waited: 0,
    }
}

impl<'a> Sketch<'a> {
    fn says(self, says: &'a str) -> Self {
        Self { says, ..self }
    }

    fn by(self, account: u32) -> Self {
        Self { account, ..self }
    }

    fn at(self, started: u64) -> Self {
        Self { started, ..self }
    }

    fn within(self, group: &'a str) -> Self {
        Self { group, ..self }
    }

    fn used(self, own: u64, waited: u64) -> Self {
        Self {
            own,
            waited,
            ..self
        }
    }
}

impl System {
    fn new() -> Self {
        Self::started_by(Some(HUB))
    }

    fn started_by(hub: Option<u32>) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/passwd"), PASSWD).unwrap();
        let processes = Processes::new(root.path(), hub, &Tools::default());
        let system = Self { root, processes };
        system.put(process(1, 0).at(1).within("/init.scope"));
        system.put(process(HUB, 1).at(1000));
        system
    }

    /// Each has 100 KiB of memory.
    fn put(&self, it: Sketch<'_>) {
        let folder = self.root.path().join("proc").join(it.pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        let Sketch {
            pid,
            parent,
            started,
            account,
            flags,
            own,
            waited,
            ..
        } = it;
        let stat = format!(
            "{pid} (python) S {parent} 1 1 0 -1 {flags} 0 0 0 0 {own} 0 {waited} 0 20 0 1 0 {started} 0 0\n"
        );
        fs::write(folder.join("stat"), stat).unwrap();
        let status = format!("Name:\tpython\nUid:\t{account}\t{account}\t{account}\t{account}\n");
        fs::write(folder.join("status"), status).unwrap();
        fs::write(folder.join("cgroup"), format!("0::{}\n", it.group)).unwrap();
        fs::write(folder.join("smaps_rollup"), "Rss: 900 kB\nPss: 100 kB\n").unwrap();
        let environment = it
            .says
            .split_once('/')
            .map_or_else(String::new, |(user, server)| {
                format!("A=b\0JUPYTERHUB_USER={user}\0JUPYTERHUB_SERVER_NAME={server}\0")
            });
        fs::write(folder.join("environ"), environment).unwrap();
    }

    fn end(&self, pid: u32) {
        fs::remove_dir_all(self.root.path().join("proc").join(pid.to_string())).unwrap();
    }

    /// `user/server` or the reason, and how many processes.
    fn look(&mut self) -> Vec<String> {
        let seen = self.processes.look(None).unwrap();
        let uses = seen.uses.iter().map(|(charge, used)| {
            let bytes = 102_400.0 * f64::from(u32::try_from(used.n_things).unwrap());
            assert_eq!(used.amounts.memory_bytes, Some(bytes));
            let who = match charge {
                Charge::Nobody(reason) => (*reason).to_owned(),
                Charge::Account(account) => {
                    let server = account.server.as_deref().unwrap_or("~");
                    format!("{}/{server}", account.user)
                }
            };
            format!("{who} {}", used.n_things)
        });
        uses.collect()
    }
}

#[test]
fn what_the_hub_started_is_charged_with_all_below_it() {
    let mut system = System::new();
    system.put(process(20, HUB).says("ada/"));
    system.put(process(21, 20));
    system.put(process(22, 21));
    system.put(process(30, HUB).says("ada/lab"));
    // The proxy, and a service, which has both variables empty.
    system.put(process(40, HUB));
    system.put(process(41, HUB).says("/"));
    system.put(process(42, 41));
    // Something of the machine.
    system.put(process(50, 1).at(500));
    assert_eq!(system.look(), ["ada/ 3", "ada/lab 1"]);
    assert_eq!(system.processes.notes(0), []);
}

#[test]
fn nobody_is_charged_for_what_others_say_of_themselves() {
    let mut system = System::new();
    system.put(process(20, HUB).by(1001).says("ada/"));
    // Below her server.
    system.put(process(21, 20).by(1001).says("ben/"));
    // Out of it, for somebody else and for herself.
    system.put(process(60, 1).by(1001).says("ben/"));
    system.put(process(61, 1).by(1001).says("ada/made-up"));
    // An account that no servers run under.
    system.put(process(62, 1).by(1003).says("ada/"));
    // In somebody's shell.
    system.put(
        process(70, 1)
            .at(5000)
            .by(1003)
            .within("/user.slice/session-4.scope"),
    );
    system.put(process(71, 70).at(5001).by(1003).says("ada/"));
    // Before anything below the hub is known, her own word is taken for her own account.
    assert_eq!(
        system.look(),
        ["ada/ 2", "ada/made-up 1", "not started by the hub 2"]
    );
    // From then on she is charged for it herself.
    system.end(61);
    system.put(process(63, 1).by(1001).says("ada/other"));
    assert_eq!(
        system.look(),
        ["ada/~ 2", "ada/ 2", "not started by the hub 1"]
    );
}

#[test]
fn servers_that_outlived_a_hub_are_known_again() {
    let mut system = System::new();
    // By the account's name, by its name in The Littlest JupyterHub, by the hub's own account.
    system.put(process(20, 1).at(900).by(1001).says("ada/"));
    system.put(process(21, 1).at(901).by(1002).says("ben/lab"));
    system.put(process(22, 1).at(902).says("carl/"));
    // Younger than the hub, and not its child.
    system.put(process(23, 1).at(2000).says("dora/"));
    // Another hub's.
    system.put(process(90, 1).at(800));
    system.put(process(91, 90).at(950).by(1003).says("emil/"));
    assert_eq!(
        system.look(),
        ["ada/ 1", "ben/lab 1", "carl/ 1", "left its tree 1"]
    );
}

#[test]
fn a_supervisor_above_the_hub_adopts_its_orphans() {
    let mut system = System::new();
    system.put(process(5, 1).at(5));
    system.put(process(HUB, 5).at(1000));
    system.put(process(20, 5).at(900).says("ada/"));
    assert_eq!(system.look(), ["ada/ 1"]);
}

#[test]
fn who_was_seen_in_a_tree_stays_charged() {
    let mut system = System::new();
    system.put(process(20, HUB).says("ada/"));
    system.put(process(21, 20));
    system.put(process(22, 21));
    assert_eq!(system.look(), ["ada/ 3"]);
    system.end(20);
    system.end(21);
    system.put(process(22, 1));
    system.put(process(23, 22));
    assert_eq!(system.look(), ["ada/ 2"]);
    // Its number is used again.
    system.put(
        process(22, 1)
            .at(9000)
            .within("/user.slice/session-1.scope"),
    );
    system.end(23);
    assert_eq!(system.look(), [""; 0]);
}

#[test]
fn what_left_unseen_is_charged_by_its_account_or_to_nobody() {
    let mut system = System::new();
    system.put(process(20, HUB).by(1001).says("ada/"));
    system.put(process(21, HUB).by(1003).says("ben/"));
    system.put(process(22, HUB).by(1003).says("carl/"));
    system.put(process(23, HUB).says("dora/"));
    system.put(process(60, 1).by(1001));
    system.put(process(61, 60).by(1001));
    system.put(process(62, 1).by(1003));
    system.put(process(63, 1));
    // Kernel threads, older ones, other accounts and logins are none of the hub's business.
    system.put(Sketch {
        flags: 0x0020_0040,
        ..process(70, 2)
    });
    system.put(process(71, 1).at(400));
    system.put(process(72, 1).by(1007));
    let login = "/user.slice/user-1001.slice/session-3.scope";
    system.put(process(73, 1).by(1001).within(login));
    let looks = [
        "ada/~ 2",
        "ada/ 1",
        "ben/ 1",
        "carl/ 1",
        "dora/ 1",
        "left its tree 2",
    ];
    // In the first look those were seen before their servers.
    system.look();
    assert_eq!(system.look(), looks);
    // The servers end, and what they left behind goes on.
    for pid in 20..24 {
        system.end(pid);
    }
    assert_eq!(system.look(), ["ada/~ 2", "left its tree 2"]);
}

#[test]
fn a_program_that_has_just_begun_is_asked_again() {
    let mut system = System::new();
    system.put(process(20, HUB));
    assert_eq!(system.look(), [""; 0]);
    system.put(process(20, HUB).says("ada/"));
    assert_eq!(system.look(), ["ada/ 1"]);
    // Which it may forget.
    system.put(process(20, HUB).says(""));
    assert_eq!(system.look(), ["ada/ 1"]);
}

#[test]
fn without_a_hub_that_started_us_our_own_account_is_taken_for_its() {
    let mut system = System::started_by(None);
    system.processes.own = Some(99);
    system.put(process(99, 1).by(1003));
    system.put(process(20, HUB).by(1003).says("carl/"));
    system.put(process(21, HUB).by(1001).says("ada/"));
    system.put(process(22, HUB).by(1001).says("ben/"));
    // What runs under her account is hers.
    assert_eq!(system.look(), ["ada/~ 1", "ada/ 1", "carl/ 1"]);
}

#[test]
fn a_hub_that_is_gone_has_no_servers() {
    let mut system = System::new();
    system.end(HUB);
    assert_eq!(system.processes.look(None).unwrap_err().kind(), "no_hub");
}

#[test]
fn time_and_gpus_go_with_the_charge() {
    let mut system = System::new();
    system.put(process(20, HUB).says("ada/").used(100, 0));
    system.put(process(21, 20).used(50, 0));
    let gpus = GpuUse::of(&[(21, Some(0.5)), (99, Some(0.25))]);
    let seen = system.processes.look(Some(&gpus)).unwrap();
    let used = seen.uses.values().next().unwrap();
    assert_eq!(
        (used.cpu_seconds, used.amounts.gpus_used),
        (None, Some(0.5))
    );
    // The child ended after 70 more; 30 more of its own; a new one has 25.
    system.end(21);
    system.put(process(20, HUB).says("ada/").used(130, 120));
    system.put(process(22, 20).used(20, 5));
    let seen = system.processes.look(None).unwrap();
    let used = seen.uses.values().next().unwrap();
    assert_eq!(used.cpu_seconds, Some(1.25));
}
