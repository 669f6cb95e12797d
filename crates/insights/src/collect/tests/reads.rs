//! Single reads and when they began, and the rows that they leave.

use super::super::*;
use crate::config::Layer;
use crate::config::environment::Environment;
use crate::hub::HubNumbers;
use crate::poll::clock::now;
use crate::service::keeper_settings;
use model::names::UserName;
use model::snapshot::Server;
use store::{Engine, EngineSettings, Folder, Format, KeeperSettings, Limits, StateError, Store};

/// A collector on a store of its own, and the moment from which its turns are counted.
struct Kept {
    _folder: tempfile::TempDir,
    store: Store,
    collector: Collector,
    begin: Instant,
}

impl Kept {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Store::open(Folder::prepare(&path).unwrap()).unwrap();
        let config = Config::default();
        let collector = collector(&store, &config).await;
        Self {
            _folder: folder,
            store,
            collector,
            begin: Instant::now(),
        }
    }

    /// As another process that takes over when this one ends.
    async fn take_over(self, assignments: &[&str]) -> Self {
        let Self {
            collector: before, ..
        } = self;
        drop(before);
        let layers = assignments.iter().map(|text| Layer::of_assignment(text));
        let layers = layers.collect::<Result<_, _>>().unwrap();
        let config = crate::config::load(&Environment::of([]), None, layers)
            .unwrap()
            .config;
        let collector = collector(&self.store, &config).await;
        Self { collector, ..self }
    }

    fn start(&self, second: u64) -> Start {
        Start {
            at: at(second),
            instant: self.begin + Duration::from_secs(second),
        }
    }

    /// A read of groups that began at this second: `physics: ada eve; art:`.
    fn groups(&self, second: u64, text: &str) -> Turn {
        let groups = text.split(';').filter_map(|part| part.split_once(':'));
        let groups = groups.map(|(name, members)| {
            let members = members.split_whitespace().map(UserName::from);
            Group::new(name.trim().into(), members)
        });
        Turn {
            snapshot: Snapshot {
                groups: Some(Dated {
                    value: groups.collect(),
                    at: at(second),
                }),
                ..Snapshot::default()
            },
            began: Starts {
                groups: Some(self.start(second)),
                ..Starts::default()
            },
            numbers: None,
            info: None,
        }
    }

    /// A read of servers that took ten seconds.
    fn servers(&self, second: u64, servers: Vec<Server>) -> Turn {
        Turn {
            snapshot: Snapshot {
                servers: Some(Dated {
                    value: servers.into(),
                    at: at(second + 10),
                }),
                ..Snapshot::default()
            },
            began: Starts {
                servers: Some(self.start(second)),
                ..Starts::default()
            },
            numbers: None,
            info: None,
        }
    }

    /// The answer to a question, a line for each row.
    async fn rows(&self, sql: &str) -> Vec<String> {
        // Also what the keeper derives from them.
        self.collector.keeper.flush().await.unwrap();
        let engine = Engine::new(EngineSettings::new(self.store.folder().temporary()));
        let table = self
            .store
            .query(&engine, sql, Limits::default(), now())
            .await;
        let mut text = Vec::new();
        table.unwrap().write(Format::Csv, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    async fn memberships(&self) -> Vec<String> {
        let sql = "select change || ' ' || \"user\" || ' ' || \"group\" || ' ' ||
            coalesce(reason, '-') from memberships order by at, \"user\", \"group\"";
        self.rows(sql).await
    }
}

/// Waits for the lock: the one before may be about to end.
async fn collector(store: &Store, config: &Config) -> Collector {
    loop {
        let settings = KeeperSettings {
            // Not long after what is told.
            clock: || at(7200),
            ..keeper_settings(config)
        };
        if let Some(keeper) = store.try_keep(settings).await.unwrap() {
            return Collector::new(keeper, config).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
}

fn running() -> Server {
    Server {
        user: "ada".into(),
        name: "".into(),
        started: Some(at(5)),
        last_activity: None,
        ready: true,
        pending: None,
        options: None,
        image: None,
    }
}

fn at(second: u64) -> Timestamp {
    let noon: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    noon + SignedDuration::from_secs(i64::try_from(second).unwrap())
}

#[tokio::test]
async fn what_was_read_before_another_process_ended_is_no_news() {
    let kept = Kept::new().await;
    let stale = kept.groups(0, "physics: ada");
    let mut kept = kept;
    kept.collector
        .take(&kept.groups(1, "physics: ada eve"))
        .await;
    let mut next = kept.take_over(&[]).await;
    next.collector.take(&stale).await;
    assert_eq!(
        next.memberships().await,
        ["joined ada physics -", "joined eve physics -"]
    );
    next.begin = Instant::now();
    next.collector.take(&next.groups(60, "physics: eve")).await;
    assert_eq!(next.memberships().await[2..], ["left ada physics -"]);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_put_a_change_before_the_last_one() {
    let mut kept = Kept::new().await;
    kept.collector
        .take(&kept.groups(3600, "physics: ada; art: eve"))
        .await;
    let mut turn = kept.groups(60, "physics: ada eve");
    turn.began.groups = Some(Start {
        instant: kept.begin + Duration::from_hours(2),
        ..kept.start(60)
    });
    turn.snapshot.users = Some(Dated {
        value: ["ada", "eve"].map(UserName::from).into(),
        at: at(60),
    });
    turn.began.users = turn.began.groups;
    kept.collector.take(&turn).await;
    let members = "select \"user\" || ' ' || \"group\" from current_members order by 1";
    assert_eq!(kept.rows(members).await, ["ada physics", "eve physics"]);
    let times =
        "select cast(at as varchar) as text from (select distinct at from memberships) order by at";
    assert_eq!(
        kept.rows(times).await,
        ["2026-11-20T13:00:00Z", "2026-11-20T13:00:00.000001Z"]
    );

    // The next one goes on from there, and so do users.
    turn.snapshot.users = Some(Dated {
        value: ["ada"].map(UserName::from).into(),
        at: at(30),
    });
    turn.began.users = Some(kept.start(7300));
    kept.collector.take(&turn).await;
    let users = "select kind || ' ' || \"user\" from events order by at, kind, \"user\"";
    assert_eq!(
        kept.rows(users).await,
        ["user-added ada", "user-added eve", "user-removed eve"]
    );
}

#[tokio::test]
async fn numbers_of_what_was_not_read_again_are_not_repeated() {
    let mut kept = Kept::new().await;
    let mut turn = kept.groups(0, "physics: ada");
    turn.snapshot.servers = Some(Dated {
        value: [].into(),
        at: at(1),
    });
    turn.began.servers = Some(kept.start(1));
    turn.numbers = Some(Dated {
        value: HubNumbers::default(),
        at: at(2),
    });
    turn.began.numbers = Some(kept.start(2));
    let numbers = "select cast(at as varchar) || ' ' || name from observations order by 1";
    let first = [
        "2026-11-20T12:00:00Z api_groups",
        "2026-11-20T12:00:00Z api_memberships",
        "2026-11-20T12:00:01Z api_active_servers",
        "2026-11-20T12:00:01Z api_ready_servers",
    ];
    kept.collector.take(&turn).await;
    assert_eq!(kept.rows(numbers).await, first);

    // A hub that is down: each turn tells the same.
    kept.collector.take(&turn).await;
    assert_eq!(kept.rows(numbers).await, first);

    // It answers again, a moment later than is kept, then about servers only.
    turn.began.groups = Some(kept.start(30));
    turn.began.servers = Some(kept.start(61));
    let servers = turn.snapshot.servers.as_mut().unwrap();
    servers.at = at(62);
    kept.collector.take(&turn).await;
    assert_eq!(
        kept.rows(numbers).await[4..],
        [
            "2026-11-20T12:01:02Z api_active_servers",
            "2026-11-20T12:01:02Z api_ready_servers",
        ]
    );
}

#[tokio::test]
async fn a_look_that_was_not_written_changes_nothing() {
    let kept = Kept::new().await;
    let allowed = "groups.allowed=[\"physics\"]";
    let mut kept = kept.take_over(&[allowed]).await;
    kept.begin = Instant::now();
    kept.collector
        .take(&kept.groups(0, "physics: ada; art: ada"))
        .await;
    assert_eq!(kept.memberships().await, ["joined ada physics -"]);
    let mut kept = kept.take_over(&[]).await;
    kept.begin = Instant::now();
    let turn = kept.groups(60, "physics: ada; art: ada");
    // As if the disk were full.
    drop(kept.collector.compare(&turn).unwrap());
    kept.collector.take(&turn).await;
    // Hidden before, and so perhaps a member for long.
    let not_before = "select \"group\" || ' ' || (not_before is null) from memberships order by at";
    assert_eq!(kept.rows(not_before).await, ["physics true", "art true"]);
}

#[tokio::test]
async fn a_full_spool_is_no_failure() {
    let mut kept = Kept::new().await;
    kept.collector
        .tell(Err(StoreError::State(StateError::Busy)));
    assert!(!kept.collector.is_failing);
    kept.collector
        .tell(Err(StoreError::State(StateError::Closed)));
    assert!(kept.collector.is_failing);
}

#[tokio::test]
async fn a_server_was_surely_running_when_the_read_began_and_is_gone_when_it_ended() {
    let mut kept = Kept::new().await;
    kept.collector
        .take(&kept.servers(60, vec![running()]))
        .await;
    kept.collector.take(&kept.servers(120, Vec::new())).await;
    let sessions =
        "select cast(ended as varchar) || ' ' || cast(last_seen as varchar) from sessions";
    assert_eq!(
        kept.rows(sessions).await,
        ["2026-11-20T12:02:10Z 2026-11-20T12:01:00Z"]
    );
}

/// How a server is said to have ended that is missed at 12:02 by one look of a hub's process or by
/// several, before another process is seen.
async fn end_before_a_restart(looks: &[u64]) -> Vec<String> {
    let mut kept = Kept::new().await;
    let numbers = |mut turn: Turn, hub_started: u64| {
        turn.numbers = Some(Dated {
            value: HubNumbers {
                hub_started: Some(at(hub_started)),
                stops: Some(0),
                ..HubNumbers::default()
            },
            at: turn.snapshot.servers.as_ref().unwrap().at,
        });
        turn
    };
    let reason = "select end_reason || ' ' || cast(ended as varchar) from sessions";
    let turn = numbers(kept.servers(60, vec![running()]), 0);
    kept.collector.take(&turn).await;
    for look in looks {
        let turn = numbers(kept.servers(*look, Vec::new()), 0);
        kept.collector.take(&turn).await;
    }
    assert_eq!(
        kept.rows(reason).await,
        ["crashed or evicted 2026-11-20T12:02:10Z"]
    );
    let turn = numbers(kept.servers(240, Vec::new()), 200);
    kept.collector.take(&turn).await;
    kept.rows(reason).await
}

#[tokio::test]
async fn a_server_that_a_hub_stops_while_it_shuts_down_did_not_crash() {
    assert_eq!(
        end_before_a_restart(&[120]).await,
        ["hub restart 2026-11-20T12:02:10Z"]
    );
}

#[tokio::test]
async fn a_server_that_crashed_before_the_last_look_of_a_hub_did() {
    assert_eq!(
        end_before_a_restart(&[120, 180]).await,
        ["crashed or evicted 2026-11-20T12:02:10Z"]
    );
}
