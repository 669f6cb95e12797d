//! Looks at machines that are replayed from `fixtures/local`.

use super::*;
use crate::hub::Number;
use crate::sources::ServerUse;
use model::names::UserName;
use model::usage::{Amounts, Totals};
use std::fs;
use std::path::Path;

/// A root folder with what a machine tells.
struct System {
    root: tempfile::TempDir,
}

impl System {
    fn new(fixture: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let system = Self { root };
        system.replay(fixture);
        system
    }

    /// Writes the files of `fixtures/local/….txt`; `@ path` begins one, `@- path` removes a folder.
    fn replay(&self, fixture: &str) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/local");
        let text = fs::read_to_string(format!("{folder}/{fixture}.txt")).unwrap();
        for part in format!("\n{text}").split("\n@").skip(1) {
            let (path, text) = part.split_once('\n').unwrap_or((part, ""));
            if let Some(path) = path.strip_prefix("- ") {
                fs::remove_dir_all(self.root.path().join(path)).unwrap();
            } else {
                self.write(path.trim_start(), text);
            }
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The source, without programs of the machine that the test runs on.
    fn local(&self, change: impl FnOnce(&mut LocalConfig)) -> Local {
        let mut config = LocalConfig {
            root: self.root.path().to_owned(),
            ..LocalConfig::default()
        };
        change(&mut config);
        let nowhere = PathBuf::from("/nowhere");
        let tools = Tools {
            nvidia_smi: nowhere.clone(),
            systemctl: nowhere.clone(),
            getent: nowhere,
        };
        Local::with_tools(&config, &UsageConfig::default(), None, tools)
    }
}

fn known(users: &[&str], spawner: &str) -> Known {
    let users: Vec<UserName> = users.iter().map(|user| UserName::from(*user)).collect();
    Known {
        users: Some(users.into()),
        spawner: Some(spawner.into()),
    }
}

const LITTLEST: &str = "tljh.user_creating_spawner.UserCreatingSpawner";
const SYSTEMD: &str = "systemdspawner.systemdspawner.SystemdSpawner";

/// `name value` of all that is known.
fn shown_amounts(amounts: &Amounts) -> String {
    let all = [
        ("cores", amounts.cpu_cores),
        ("bytes", amounts.memory_bytes),
        ("cores-asked", amounts.cpu_requested_cores),
        ("bytes-asked", amounts.memory_requested_bytes),
        ("gpus-asked", amounts.gpus_requested),
        ("gpus", amounts.gpus_used),
        ("rx", amounts.network_rx_bytes_per_second),
        ("tx", amounts.network_tx_bytes_per_second),
    ];
    join(&all)
}

fn shown_totals(totals: &Totals) -> String {
    let all = [
        ("cpu", totals.cpu_core_seconds),
        ("memory", totals.memory_byte_seconds),
        ("cpu-asked", totals.cpu_requested_core_seconds),
        ("memory-asked", totals.memory_requested_byte_seconds),
        ("gpus-asked", totals.gpu_requested_seconds),
        ("gpus", totals.gpu_used_seconds),
        ("rx", totals.network_rx_bytes),
        ("tx", totals.network_tx_bytes),
        ("peak", totals.memory_peak_bytes),
    ];
    format!("{} samples {}", join(&all), totals.samples)
}

fn join(all: &[(&str, Option<f64>)]) -> String {
    let known = all
        .iter()
        .filter_map(|(name, value)| Some((name, (*value)?)));
    let known: Vec<String> = known
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    known.join(" ")
}

fn shown(look: &Look) -> String {
    let account = |account: &model::usage::Account| {
        let server = account.server.as_deref().unwrap_or("~");
        format!("{}/{server}", account.user)
    };
    let servers = look.servers.iter().map(
        |ServerUse {
             account: who,
             amounts,
             ..
         }| { format!("now {}: {}", account(who), shown_amounts(amounts)) },
    );
    let increments = look.increments.iter().map(|increment| {
        format!(
            "more {}: {}",
            account(&increment.account),
            shown_totals(&increment.totals)
        )
    });
    let nobodys = look.unattributed.iter().map(|row| {
        format!(
            "nobody's, {} {}: {}",
            row.n_things,
            row.reason,
            shown_amounts(&row.amounts)
        )
    });
    // Of homes it is told whenever the walk is over.
    let notes = look.notes.iter().filter(|note| note.about != "homes");
    let notes = notes.map(|note| format!("note {}", note.about));
    let lines = servers.chain(increments).chain(nobodys).chain(notes);
    let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

fn value(numbers: &[Number], name: &str) -> Option<f64> {
    let mut numbers = numbers.iter();
    numbers
        .find(|number| &*number.name == name)
        .map(|number| number.value)
}

#[tokio::test(start_paused = true)]
async fn units_of_the_littlest_jupyterhub_are_those_of_its_users() {
    let system = System::new("units-v2");
    let users = ["ada", "grace.hopper the first", "zoe@example.org", "linus"];
    let known = known(&users, LITTLEST);
    let mut local = system.local(|_| {});
    let look = local.look(&known).await.unwrap();
    insta::assert_snapshot!(shown(&look), @r"
    now ada/~: bytes 629145600 cores-asked 2 bytes-asked 2147483648
    now grace.hopper the first/~: bytes 104857600
    now zoe@example.org/~: bytes 52428800
    nobody's, 1 unknown user: bytes 1048576
    ");
    assert_eq!(
        value(&look.numbers, "machine_cpu_requested_cores"),
        Some(2.0)
    );
    assert_eq!(
        value(&look.numbers, "machine_memory_requested_bytes"),
        Some(2_147_483_648.0)
    );

    // 30 s used, and 500 MiB more for a moment; one unit is gone, and one has begun.
    tokio::time::advance(Duration::from_mins(1)).await;
    system.replay("units-v2-later");
    let look = local.look(&known).await.unwrap();
    insta::assert_snapshot!(shown(&look), @r"
    now ada/~: cores 0.5 bytes 629145600 cores-asked 2 bytes-asked 2147483648
    now linus/~: cores 0.15 bytes 20971520
    now zoe@example.org/~: cores 0 bytes 52428800
    more ada/~: cpu 30 memory 37748736000 cpu-asked 120 memory-asked 128849018880 peak 1468006400 samples 1
    more linus/~: cpu 9 memory 629145600 peak 20971520 samples 1
    more zoe@example.org/~: cpu 0 memory 3145728000 peak 52428800 samples 1
    more grace.hopper the first/~: memory 3145728000 samples 0
    nobody's, 1 unknown user: cores 0 bytes 1048576
    ");
}

#[tokio::test]
async fn homes_of_the_littlest_jupyterhub_are_known_by_their_accounts() {
    let system = System::new("units-v2");
    let users = ["ada", "abcdefghijklmnopqr"];
    for home in ["jupyter-ada", "jupyter-abcdefghijklmnopqr-e375e", "ubuntu"] {
        system.write(&format!("home/{home}/file"), "x");
    }
    let mut local = system.local(|_| {});
    let known = known(&users, LITTLEST);
    let look = loop {
        let look = local.look(&known).await.unwrap();
        if look.homes.is_some() {
            break look;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let homes = look.homes.unwrap();
    let homes: Vec<&str> = homes.sizes.iter().map(|home| home.user.as_str()).collect();
    assert_eq!(homes, ["abcdefghijklmnopqr", "ada"]);
    let strangers = look
        .unattributed
        .iter()
        .find(|row| row.reason == "unknown directory");
    assert_eq!(strangers.unwrap().n_things, 1);
}

#[tokio::test(start_paused = true)]
async fn an_older_kernel_and_a_slice_of_its_own() {
    let system = System::new("units-old");
    let mut local = system.local(|config| config.slice = "hub-users.slice".to_owned());
    let known = known(&["ada", "ben"], SYSTEMD);
    let look = local.look(&known).await.unwrap();
    insta::assert_snapshot!(shown(&look), @r"
    now ada/~: bytes 94371840 bytes-asked 1073741824
    now ben/~:
    note memory
    ");
    let text = &look.notes[0].text;
    assert!(
        text.contains("1 units") && text.contains("MemoryAccounting"),
        "{text}"
    );
    let mut elsewhere = system.local(|config| config.slice = "none.slice".to_owned());
    let look = elsewhere.look(&known).await.unwrap();
    assert_eq!(shown(&look), "note units");
}

#[tokio::test(start_paused = true)]
async fn version_1_has_a_tree_for_each_controller() {
    let system = System::new("units-v1");
    let mut local = system.local(|_| {});
    let known = known(&["ada", "ben"], SYSTEMD);
    let look = local.look(&known).await.unwrap();
    insta::assert_snapshot!(shown(&look), @r"
    now ada/~: bytes 262144000 cores-asked 1.5 bytes-asked 1073741824
    now ben/~: bytes 10485760
    ");
    tokio::time::advance(Duration::from_mins(1)).await;
    let group = "system.slice/jupyter-ada-singleuser.service";
    let usage = format!("sys/fs/cgroup/cpu,cpuacct/{group}/cpuacct.usage");
    system.write(&usage, "64250000000\n");
    let look = local.look(&known).await.unwrap();
    let used: Vec<_> = look
        .increments
        .iter()
        .map(|more| more.totals.cpu_core_seconds)
        .collect();
    // Of the tree for version 2 where there is no other.
    assert_eq!(used, [Some(3.0), Some(0.0)]);
}

#[tokio::test(start_paused = true)]
async fn before_it_is_known_who_there_is_nobody_is_unknown() {
    let system = System::new("units-v2");
    let mut local = system.local(|_| {});
    let nobody = Known {
        users: None,
        ..known(&[], LITTLEST)
    };
    let look = local.look(&nobody).await.unwrap();
    assert_eq!(shown(&look), "");
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_control_groups_says_so() {
    let system = System {
        root: tempfile::tempdir().unwrap(),
    };
    let error = system
        .local(|_| {})
        .look(&known(&[], SYSTEMD))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("there are no control groups in `"),
        "{error}"
    );
    assert_eq!(error.kind(), "no_control_groups");
    let error = system
        .local(|_| {})
        .look(&known(&[], "x.LocalProcessSpawner"))
        .await;
    assert_eq!(error.unwrap_err().kind(), "no_processes");
}

#[test]
fn a_unit_that_vanishes_while_it_is_read_is_gone() {
    let system = System::new("units-v2");
    let hierarchy = cgroup::Hierarchy::under(system.root.path()).unwrap();
    let services = hierarchy.services("system.slice").unwrap();
    let ada = Path::new("system.slice/jupyter-ada.service");
    assert_eq!(services["jupyter-ada.service"], ada);
    assert!(hierarchy.read(ada).is_some());
    fs::remove_dir_all(system.root.path().join("sys/fs/cgroup").join(ada)).unwrap();
    assert_eq!(hierarchy.read(ada), None);
}

#[test]
fn the_spawners_class_says_where_to_look() {
    let config = |spawner| LocalConfig {
        spawner,
        ..LocalConfig::default()
    };
    let auto = config(SpawnerConfig::Auto);
    for (class, expected) in [
        (None, Kind::Processes),
        (
            Some("jupyterhub.spawner.SimpleLocalProcessSpawner"),
            Kind::Processes,
        ),
        (Some("sudospawner.spawner.SudoSpawner"), Kind::Processes),
        (
            Some("dockerspawner.dockerspawner.DockerSpawner"),
            Kind::Docker,
        ),
        (
            Some("dockerspawner.systemuserspawner.SystemUserSpawner"),
            Kind::Docker,
        ),
        (Some(SYSTEMD), Kind::Units(UnitNames::Spawners)),
        (Some(LITTLEST), Kind::Units(UnitNames::Littlest)),
    ] {
        assert_eq!(kind(&auto, class), expected, "{class:?}");
    }
    let systemd = config(SpawnerConfig::Systemd);
    assert_eq!(
        kind(&systemd, Some("__main__.Ours")),
        Kind::Units(UnitNames::Either)
    );
    assert_eq!(
        kind(&config(SpawnerConfig::Docker), Some(SYSTEMD)),
        Kind::Docker
    );
}

#[tokio::test(start_paused = true)]
async fn another_spawner_begins_anew() {
    let system = System::new("units-v2");
    let mut local = system.local(|_| {});
    local.look(&known(&["ada"], LITTLEST)).await.unwrap();
    tokio::time::advance(Duration::from_mins(1)).await;
    let look = local.look(&known(&["ada"], SYSTEMD)).await.unwrap();
    assert_eq!(look.increments, []);
}
