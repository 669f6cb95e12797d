//! A disk that fills up and one that cannot be written: what was acknowledged stays, the message
//! says what to do, and once there is room the store goes on.
//!
//! The disk is a small file system in memory that only a child of the test sees: `unshare` gives
//! it a name space of its own, which needs no rights.

use crate::support::{Answer, BINARY, Service, SimServer, block_on, until, variable};
use insights::sim::DEMO_TOKEN;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use store::tables::{Event, RowId};
use store::{
    Engine, EngineSettings, Folder, FolderError, Intake, Keeper, KeeperSettings, Limits,
    StateError, Store, StoreError,
};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "a_full_disk_loses_nothing_that_was_acknowledged_and_a_read_only_one_says_so",
        on_a_small_disk,
    ),
    (
        "a_service_whose_disk_is_full_serves_on_says_so_once_and_recovers",
        full_service,
    ),
    (
        "a_service_that_finds_read_only_folders_is_a_pure_exporter_and_says_so_once",
        read_only_service,
    ),
    (
        "a_history_that_has_to_be_kept_on_a_read_only_disk_is_an_error_with_a_remedy",
        read_only_error,
    ),
];

/// Mounts the disk, fills it, goes on, and looks at it when it is read-only.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs -o size=24m tmpfs "$1"
"$0" --store-on-small-disk fill "$1"
mount -o remount,ro "$1"
"$0" --store-on-small-disk read-only "$1"
"#;

/// Mounts a disk of this kind where the first argument says, and becomes what follows.
const ON_DISK: &str = r#"
set -e
mount -t tmpfs -o "$0" tmpfs "$1"
shift
exec "$@"
"#;

/// The system's folder and the user's are on disks that cannot be written.
const ON_READ_ONLY: &str = r#"
set -e
mount -t tmpfs -o ro tmpfs /var/lib
mount -t tmpfs -o ro tmpfs "$0"
exec "$@"
"#;

/// Where the user's disk is: every system has the folder, and it is no temporary one.
const READ_ONLY: &str = "/mnt";

/// A shell in name spaces of its own.
fn unshared() -> Command {
    const NAME_SPACES: [&str; 3] = ["--user", "--map-root-user", "--mount"];
    let tried = Command::new("unshare")
        .args(NAME_SPACES)
        .arg("true")
        .output();
    let lacks = match &tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(Answer::of(output).stderr),
        Err(error) => Some(error.to_string()),
    };
    if let Some(lacks) = lacks {
        panic!(
            "this test needs `unshare` (util-linux) and a kernel that lets users make name spaces \
             (`sysctl user.max_user_namespaces`, in containers often a seccomp rule): {lacks}"
        );
    }
    let mut command = Command::new("unshare");
    command.args(NAME_SPACES).args(["sh", "-c"]);
    command
}

fn on_a_small_disk() {
    let folder = tempfile::tempdir().unwrap();
    let output = unshared()
        .arg(SCRIPT)
        .arg(std::env::current_exe().unwrap())
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One step of the script, in the name space that sees the disk.
pub(crate) fn run(step: &str, disk: &Path) {
    match step {
        "fill" => block_on(fill(disk)),
        "read-only" => read_only(disk),
        _ => panic!("no such step: {step}"),
    }
}

async fn fill(disk: &Path) {
    let store = Store::open(Folder::prepare(&disk.join("store")).unwrap()).unwrap();
    let settings = KeeperSettings::new("hub".into(), TimeZone::UTC, now);
    let keeper = store.try_keep(settings).await.unwrap().unwrap();
    let mut client = Client { n_taken: 0 };
    client.take(&keeper).await.unwrap();
    keeper.flush().await.unwrap();
    client.take(&keeper).await.unwrap();

    let filler = disk.join("filler");
    fill_up(&filler);
    // Some pages of `state.db` may be free; then not one more row fits.
    let refused = loop {
        if let Err(error) = client.take(&keeper).await {
            break error;
        }
    };
    assert!(
        matches!(refused, StoreError::State(StateError::Full(_))),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("make room"), "{refused}");
    let full = keeper.flush().await.unwrap_err();
    assert_eq!(
        n_rows(&store).await,
        client.n_taken,
        "while it is full: {full}"
    );

    std::fs::remove_file(&filler).unwrap();
    client.take(&keeper).await.unwrap();
    keeper.flush().await.unwrap();
    assert_eq!(keeper.n_waiting().await.unwrap(), 0);
    assert_eq!(n_rows(&store).await, client.n_taken, "each once");
}

fn read_only(disk: &Path) {
    let refused = Folder::prepare(&disk.join("store")).unwrap_err();
    assert!(
        matches!(
            refused,
            FolderError::Unfit {
                is_read_only: true,
                ..
            }
        ),
        "{refused:?}"
    );
    assert!(
        refused.to_string().contains("mount it writable"),
        "{refused}"
    );
}

// ---- the service ----

fn hub() -> SimServer {
    SimServer::start(|world| {
        world.set_now(insights::poll::clock::now());
        world.add_group("art");
        for number in 0..N_USERS {
            world.add_user(&user(number));
        }
        world.add_member("art", &user(0));
    })
}

/// So many that their memberships take more room than pages of `state.db` may be free.
const N_USERS: usize = 500;

fn user(number: usize) -> String {
    format!("user-with-a-name-that-takes-some-room-{number}")
}

fn n_lines(service: &Service, words: &str) -> usize {
    let log = service.process.output();
    log.lines().filter(|line| line.contains(words)).count()
}

#[track_caller]
fn logs(service: &Service, words: &str) {
    let told = until(words, || (n_lines(service, words) > 0).then_some(()));
    told.unwrap_or_else(|| panic!("never said `{words}`:\n{}", service.process.output()));
}

/// Runs a command where the service sees its disk.
fn beside(service: &Service, words: &[&str]) -> Output {
    Command::new("nsenter")
        .args(["--user", "--mount", "--preserve-credentials", "--target"])
        .arg(service.process.pid().to_string())
        .args(words)
        .output()
        .unwrap()
}

fn full_service() {
    let (hub, disk) = (hub(), tempfile::tempdir().unwrap());
    let folder = disk.path().join("store").display().to_string();
    let filler = disk.path().join("filler").display().to_string();
    let mut command = unshared();
    command
        .args([ON_DISK, "size=24m"])
        .arg(disk.path())
        .arg(BINARY);
    let path = format!("store.path={folder}");
    let settings = ["--set", &path, "--set", "store.keep=always"];
    let service = Service::start_by(command, &hub.url, DEMO_TOKEN, &settings);
    let ask = |query: &str| {
        let words = [BINARY, "sql", "--format", "csv", query, "--set", &path];
        Answer::of(&beside(&service, &words))
    };
    let joined = "select count(*), count(distinct user) from memberships where change = 'joined'";
    let first = until("the first look", || {
        (ask(joined).rows() == ["1,1"]).then_some(())
    });
    first.unwrap_or_else(|| panic!("{}", service.process.output()));

    let written = beside(
        &service,
        &["dd", "if=/dev/zero", "bs=4k", &format!("of={filler}")],
    );
    assert!(Answer::of(&written).stderr.contains("No space left"));
    for number in 1..N_USERS {
        hub.hub.world_mut().add_member("art", &user(number));
    }
    let is_last_shown = |scrape: &crate::support::Scrape| {
        let last = format!("{}@art", user(N_USERS - 1));
        scrape.memberships().contains(&last)
    };
    service.until("the last user in art", is_last_shown);
    let full = "ERROR Could not write down what the hub says; trying again with each look: the disk that holds `state.db` is full: make room";
    logs(&service, full);
    let requests = hub.hub.n_requests();
    until("some more looks", || {
        (hub.hub.n_requests() > requests + 12).then_some(())
    });
    service.until("the last user in art", is_last_shown);
    assert_eq!(n_lines(&service, full), 1, "{}", service.process.output());
    assert_eq!(
        ask(joined).rows(),
        ["1,1"],
        "what was acknowledged is there"
    );

    assert!(beside(&service, &["rm", &filler]).status.success());
    logs(&service, "INFO What the hub says is written down again.");
    let all = format!("{N_USERS},{N_USERS}");
    assert_eq!(ask(joined).rows(), [all], "each once");
}

fn read_only_service() {
    let hub = hub();
    for settings in [
        vec!["store.keep=auto".to_owned()],
        vec![
            "store.keep=auto".to_owned(),
            format!("store.path={READ_ONLY}/history"),
        ],
    ] {
        let mut command = unshared();
        let data = format!("XDG_DATA_HOME={READ_ONLY}");
        command.args([ON_READ_ONLY, READ_ONLY]);
        command.args(["env", &data, BINARY]);
        let words = settings.iter().flat_map(|setting| ["--set", setting]);
        let words: Vec<&str> = words.collect();
        let service = Service::start_by(command, &hub.url, DEMO_TOKEN, &words);
        service.until("the first user in art", |scrape| {
            scrape.memberships() == [format!("{}@art", user(0))]
        });
        let log = service.process.output();
        assert_eq!(n_lines(&service, "No history is kept"), 1, "{log}");
        assert!(log.contains("read-only"), "{log}");
        assert!(!log.contains("The history is in"), "{log}");
        assert!(!log.contains("ERROR"), "{log}");
    }
}

fn read_only_error() {
    let path = format!("store.path={READ_ONLY}/history");
    for (settings, remedies) in [
        (
            vec!["store.keep=always"],
            [
                "set `store.path` to one that this service may write",
                "read-only",
            ],
        ),
        (
            vec!["store.keep=always", &path],
            [
                "set `store.path` to another folder, or `store.keep` to `never`",
                "mount it writable",
            ],
        ),
    ] {
        let words = settings.iter().flat_map(|setting| ["--set", setting]);
        let output = unshared()
            .args([ON_READ_ONLY, READ_ONLY])
            .args([BINARY, "serve", "--set", "hub.url=http://127.0.0.1:9/"])
            .args(["--set", "metrics.listen=127.0.0.1:0"])
            .args(words)
            .env_clear()
            .envs(variable("PATH").map(|path| ("PATH", path)))
            .env("XDG_DATA_HOME", READ_ONLY)
            .env("JUPYTERHUB_API_TOKEN", "t")
            .output()
            .unwrap();
        let Answer { code, stderr, .. } = Answer::of(&output);
        assert_eq!(code, Some(64), "{stderr}");
        for remedy in remedies {
            assert!(stderr.contains(remedy), "{stderr}");
        }
    }
}

/// Sends rows that are new, a hundred at once.
struct Client {
    n_taken: usize,
}

impl Client {
    async fn take(&mut self, keeper: &Keeper) -> Result<(), StoreError> {
        const N_ROWS: usize = 100;
        let mut intake = Intake::default();
        for number in self.n_taken..self.n_taken + N_ROWS {
            intake.event(&event(number))?;
        }
        keeper.take(intake).await?;
        self.n_taken += N_ROWS;
        Ok(())
    }
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn event(number: usize) -> Event {
    Event {
        id: RowId::of(&[&number.to_string()]),
        hub: "hub".into(),
        at: now(),
        not_before: None,
        kind: "login".into(),
        user: Some("ada".into()),
        server: None,
        detail: None,
        source: "test".into(),
        schema: None,
        schema_version: None,
    }
}

/// To the last byte.
fn fill_up(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for size in [1 << 16, 1 << 10, 1] {
        let zeros = vec![0; size];
        while file.write_all(&zeros).is_ok() {}
    }
}

/// Rows of `events` as our SQL finds them, history and spool together; every id is counted once.
async fn n_rows(store: &Store) -> usize {
    let temporary = tempfile::tempdir().unwrap();
    let engine = Engine::new(EngineSettings::new(temporary.path().to_owned()));
    let sql = "select id from events";
    let rows = store
        .query(&engine, sql, Limits::default(), now())
        .await
        .unwrap();
    let sql = "select distinct id from events";
    let ids = store
        .query(&engine, sql, Limits::default(), now())
        .await
        .unwrap();
    assert_eq!(rows.n_rows(), ids.n_rows(), "no row twice");
    rows.n_rows()
}
