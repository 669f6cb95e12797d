//! Looks at a made-up hub, and the rows that they leave: clocks that are set back, users who are made
//! anew, long pauses.

use super::super::*;
use crate::config::{Config, Effective, Layer, environment::Environment, load};
use crate::service::keeper_settings;
use jiff::SignedDuration;
use model::names::UserName;
use model::snapshot::{Server, sorted_groups};
use std::cell::Cell;
use store::{Engine, EngineSettings, Folder, Format, KeeperSettings, Limits, Store};

thread_local! {
    /// What the service's clock shows in this test.
    static CLOCK: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
}

fn clock() -> Timestamp {
    CLOCK.get()
}

fn at(text: &str) -> Timestamp {
    let text = match text.len() {
        5 => format!("2026-11-20T{text}:00Z"),
        8 => format!("2026-11-{}T{}:00Z", &text[..2], &text[3..]),
        _ => text.to_owned(),
    };
    text.parse().unwrap()
}

/// A service that is told what to see.
struct Played {
    folder: tempfile::TempDir,
    store: Store,
    config: Config,
    collector: Collector,
}

impl Played {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
        let zone = Layer::of_assignment("hub.timezone=Europe/Berlin").unwrap();
        let none: [(&str, &str); 0] = [];
        let environment = Environment::of(none);
        let Effective { config, .. } = load(&environment, None, vec![zone]).unwrap();
        let collector = collector(&store, &config).await;
        Self {
            folder,
            store,
            config,
            collector,
        }
    }

    /// The service is stopped and started.
    async fn restart(self) -> Self {
        let Self {
            folder,
            store,
            config,
            collector,
        } = self;
        collector.keeper.flush().await.unwrap();
        drop(collector);
        let collector = self::collector(&store, &config).await;
        Self {
            folder,
            store,
            config,
            collector,
        }
    }

    /// At this time on our clock the hub tells of groups, `art: ada bob; physics: ada`, and of
    /// servers with their starts, `ada/10:00`. Everybody named is a user.
    async fn look(&mut self, time: &str, groups: &str, servers: &str) {
        self.collector
            .try_take(&turn(time, groups, servers))
            .await
            .unwrap();
        self.collector.keeper.flush().await.unwrap();
    }

    async fn ask(&self, sql: &str) -> String {
        let engine = Engine::new(EngineSettings::new(self.folder.path().join("tmp")));
        let answer = self.store.query(&engine, sql, Limits::default(), clock());
        let mut text = Vec::new();
        answer.await.unwrap().write(Format::Csv, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines = text
            .lines()
            .skip(1)
            .map(|line| line.replace("2026-11-", ""));
        lines.collect::<Vec<_>>().join("\n")
    }

    async fn sessions(&self) -> String {
        self.ask("select user, started, ended, end_reason from sessions order by started")
            .await
    }

    async fn changes(&self) -> String {
        let sql =
            "select user, change, \"group\" from memberships order by \"at\", change desc, user";
        self.ask(sql).await
    }

    async fn users(&self) -> String {
        let sql = "select user, kind from events where kind in ('user-added', 'user-removed') order by \"at\", kind desc, user";
        self.ask(sql).await
    }
}

async fn collector(store: &Store, config: &Config) -> Collector {
    let settings = KeeperSettings {
        clock,
        ..keeper_settings(config)
    };
    loop {
        // The writing thread of the one before ends a moment after it.
        if let Some(keeper) = store.try_keep(settings.clone()).await.unwrap() {
            return Collector::new(keeper, config).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
}

fn turn(time: &str, groups: &str, servers: &str) -> Turn {
    let time = at(time);
    CLOCK.set(time);
    let mut users: Vec<UserName> = Vec::new();
    let groups = groups.split(';').filter_map(|part| part.split_once(':'));
    let groups = groups.map(|(group, members)| {
        let members: Vec<UserName> = members.split_whitespace().map(UserName::from).collect();
        users.extend(members.iter().cloned());
        Group::new(group.trim().into(), members)
    });
    let groups = sorted_groups(groups.collect());
    let servers = servers.split_whitespace().map(|server| {
        let (user, started) = server.split_once('/').unwrap();
        users.push(user.into());
        Server {
            user: user.into(),
            name: "".into(),
            started: Some(at(started)),
            last_activity: None,
            ready: true,
            pending: None,
            options: None,
            image: None,
        }
    });
    let servers = servers.collect();
    users.sort();
    users.dedup();
    let snapshot = Snapshot {
        groups: Some(Dated {
            value: groups,
            at: time,
        }),
        users: Some(Dated {
            value: users.into(),
            at: time,
        }),
        servers: Some(Dated {
            value: servers,
            at: time,
        }),
        ..Snapshot::default()
    };
    let start = Start {
        at: time,
        instant: Instant::now(),
    };
    Turn {
        snapshot,
        began: Starts {
            groups: Some(start),
            users: Some(start),
            servers: Some(start),
            numbers: None,
        },
        numbers: None,
        info: None,
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_an_hour_between_two_looks_invents_and_loses_nothing() {
    let mut hub = Played::new().await;
    hub.look("10:00", "art: ada bob", "ada/09:50").await;
    hub.look("10:01", "art: ada bob eve", "ada/09:50 bob/10:00")
        .await;
    hub.look("09:02", "art: ada bob eve", "ada/09:50 bob/10:00")
        .await;
    assert_eq!(
        hub.changes().await,
        "ada,joined,art\nbob,joined,art\neve,joined,art"
    );
    // Changes while the clock is behind: eve goes, comes and goes again, ada's server ends.
    hub.look("09:03", "art: ada bob", "bob/10:00").await;
    hub.look("09:04", "art: ada bob eve", "bob/10:00 eve/09:03")
        .await;
    hub.look("09:05", "art: ada bob", "bob/10:00 eve/09:03")
        .await;
    hub.look("10:02", "art: ada bob", "").await;
    assert_eq!(
        hub.changes().await,
        "ada,joined,art\nbob,joined,art\neve,joined,art\neve,left,art\neve,joined,art\neve,left,art"
    );
    assert_eq!(
        hub.ask("select user from current_members order by user")
            .await,
        "ada\nbob"
    );
    let users = "ada,user-added\nbob,user-added\neve,user-added\neve,user-removed\neve,user-added\neve,user-removed";
    assert_eq!(hub.users().await, users);
    let negative = "select count(*) from sessions where ended < started or ended < last_seen";
    assert_eq!(hub.ask(negative).await, "0");
    // Nothing looked at them for an hour but bob, who was seen a minute before by the clock.
    assert_eq!(
        hub.sessions().await,
        "eve,20T09:03:00Z,20T09:05:00Z,unobserved\nada,20T09:50:00Z,20T10:01:00Z,unobserved\nbob,20T10:00:00Z,20T10:02:00Z,unobserved"
    );
}

#[tokio::test]
async fn a_clock_that_is_set_back_over_a_restart_and_midnight_keeps_days_and_ids() {
    let mut hub = Played::new().await;
    hub.look("19T22:00", "art: ada", "ada/19T21:30").await;
    hub.look("20T00:30", "art: ada", "ada/19T21:30").await;
    let days = "select day, user, sessions, hours from user_days order by day, user";
    assert_eq!(hub.ask(days).await, "19,ada,1,1.5");
    let ids = hub.ask("select id from events order by id").await;
    let mut hub = hub.restart().await;
    hub.look("19T22:40", "art: ada", "ada/19T21:30").await;
    assert_eq!(hub.ask(days).await, "19,ada,1,1.5");
    assert_eq!(hub.ask("select id from events order by id").await, ids);
    assert_eq!(hub.changes().await, "ada,joined,art");
    let mut hub = hub.restart().await;
    hub.look("21T03:00", "art: ada", "").await;
    assert_eq!(
        hub.sessions().await,
        "ada,19T21:30:00Z,20T00:30:00Z,unobserved"
    );
    assert_eq!(hub.ask(days).await, "19,ada,1,1.5\n20,ada,1,1.5");
    let negative =
        "select count(*) from user_days where hours < 0 or sessions < 0 or active_seconds < 0";
    assert_eq!(hub.ask(negative).await, "0");
    let rebuilt = hub.collector.keeper.rebuild().await.unwrap();
    assert_eq!(
        (rebuilt.n_sessions_changed, rebuilt.n_days_changed),
        (0, 0),
        "{rebuilt}"
    );
}

#[tokio::test]
async fn a_clock_that_was_wrong_by_years_is_not_waited_for() {
    let mut hub = Played::new().await;
    hub.look("2040-01-01T00:00:00Z", "art: ada", "").await;
    hub.look("10:00", "art: ada", "").await;
    hub.look("10:01", "art: ada bob", "").await;
    let bob = "select \"at\", not_before from memberships where user = 'bob'";
    assert_eq!(hub.ask(bob).await, "20T10:01:00Z,20T10:00:00Z");
}

#[tokio::test]
async fn a_user_who_is_deleted_and_made_again_left_and_joined() {
    let mut hub = Played::new().await;
    hub.look("10:00", "art: ada bob", "ada/09:50").await;
    hub.look("10:01", "art: bob", "").await;
    hub.look("10:02", "art: ada bob", "ada/10:01").await;
    hub.look("10:03", "art: ada bob", "").await;
    assert_eq!(
        hub.changes().await,
        "ada,joined,art\nbob,joined,art\nada,left,art\nada,joined,art"
    );
    assert_eq!(
        hub.users().await,
        "ada,user-added\nbob,user-added\nada,user-removed\nada,user-added"
    );
    assert_eq!(
        hub.sessions().await,
        "ada,20T09:50:00Z,20T10:01:00Z,unobserved\nada,20T10:01:00Z,20T10:03:00Z,unobserved"
    );
    assert_eq!(
        hub.ask("select user from current_members order by user")
            .await,
        "ada\nbob"
    );
}

#[tokio::test]
async fn a_user_who_is_made_again_between_two_looks_is_told_by_what_differs() {
    let mut hub = Played::new().await;
    hub.look("10:00", "art: ada; physics: ada bob", "ada/09:50")
        .await;
    hub.look("10:01", "art: ada; maths: ada; physics: bob", "ada/10:00")
        .await;
    hub.look("10:02", "art: ada; maths: ada; physics: bob", "")
        .await;
    assert_eq!(
        hub.changes().await,
        "ada,joined,art\nada,joined,physics\nbob,joined,physics\nada,left,physics\nada,joined,maths"
    );
    // The first ended at the latest when the second began.
    assert_eq!(
        hub.sessions().await,
        "ada,20T09:50:00Z,20T10:00:00Z,unobserved\nada,20T10:00:00Z,20T10:02:00Z,unobserved"
    );
    let overlapping = "select count(*) from sessions a join sessions b on a.user = b.user and a.started < b.started and b.started < a.ended";
    assert_eq!(hub.ask(overlapping).await, "0");
}

#[tokio::test]
async fn a_poll_that_takes_far_longer_than_its_interval_ends_sessions_when_they_were_last_seen() {
    let mut hub = Played::new().await;
    assert_eq!(hub.collector.watch_limit, SignedDuration::from_mins(5));
    hub.look("10:00", "art: ada", "ada/09:50 bob/09:55").await;
    hub.look("10:04", "art: ada", "ada/09:50").await;
    hub.look("10:30", "art: ada", "").await;
    assert_eq!(
        hub.sessions().await,
        "ada,20T09:50:00Z,20T10:04:00Z,unobserved\nbob,20T09:55:00Z,20T10:04:00Z,unobserved"
    );
}
