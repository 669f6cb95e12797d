//! The poller on a simulated hub.

use super::*;
use crate::config::{Config, Secret};
use crate::hub::ROLE_SCOPES;
use crate::metrics::own::ReadError;
use crate::sim::{SimHub, World};
use serde_json::json;
use std::sync::Mutex;

/// A poller on a simulated hub, and what it told so far.
struct Polled {
    sim: SimHub,
    own: Arc<Own>,
    poller: Poller,
    turns: Arc<Mutex<Vec<Turn>>>,
}

impl Polled {
    async fn new(scopes: &[&str]) -> Self {
        let mut world = World::empty();
        world.set_now("2026-11-20T12:00:00Z".parse().unwrap());
        world.add_token("t", "insights", scopes);
        for user in ["ada", "eve"] {
            world.add_user(user);
            world.start_server(user, "", world_start());
        }
        let sim = SimHub::new(world, "/");
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", socket.local_addr().unwrap());
        let router = sim.router();
        tokio::spawn(async move { axum::serve(socket, router).await });
        let config = HubConfig {
            url: url.parse().ok(),
            token: Some(Secret::new("t")),
            ..HubConfig::default()
        };
        let own = Arc::new(Own::new("hub"));
        let hub = HubClient::new(&config, own.clone()).unwrap();
        let rows = Config::default().attribution();
        let published = Arc::new(Published::new(rows, "hub", "jupyterhub"));
        let turns: Arc<Mutex<Vec<Turn>>> = Arc::default();
        let told = Arc::clone(&turns);
        let poller = Poller::new(&config, hub, own.clone(), published)
            .with_listener(Box::new(move |turn| told.lock().unwrap().push(turn)));
        Self {
            sim,
            own,
            poller,
            turns,
        }
    }

    /// What the listener heard of one more turn, and how the round went.
    async fn turn(&mut self) -> (Turn, Round) {
        let mut round = Round::default();
        self.poller.turn(&mut round).await;
        let turn = self.turns.lock().unwrap().pop().unwrap();
        (turn, round)
    }
}

fn world_start() -> jiff::Timestamp {
    "2026-11-20T12:00:01Z".parse().unwrap()
}

#[tokio::test]
async fn numbers_are_read_after_servers_and_tell_of_stops() {
    let mut polled = Polled::new(&ROLE_SCOPES).await;
    let (turn, _) = polled.turn().await;
    let numbers = turn.numbers.unwrap();
    let servers = turn.snapshot.servers.unwrap();
    assert!(numbers.at >= servers.at);
    assert_eq!(servers.value.len(), 2);
    assert_eq!(numbers.value.stops, Some(0));
    let hub_started = "2026-11-20T12:00:00Z".parse().ok();
    assert_eq!(numbers.value.hub_started, hub_started);
    let requests = polled.sim.requests();
    let [.., servers, metrics, info] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert!(servers.contains("state=active"), "{requests:?}");
    assert_eq!(metrics, "GET /hub/api/metrics");
    // Once for each process of the hub.
    assert_eq!(info, "GET /hub/api/info");
    assert!(turn.info.is_some());

    polled.sim.world_mut().stop_server("ada", "");
    polled.sim.world_mut().crash_server("eve", "");
    let (turn, _) = polled.turn().await;
    assert_eq!(turn.snapshot.servers.unwrap().value.len(), 0);
    assert_eq!(turn.numbers.unwrap().value.stops, Some(1));
    let requests = polled.sim.requests();
    let n_asked = requests.iter().filter(|it| it.ends_with("/info")).count();
    assert_eq!(n_asked, 1, "{requests:?}");
}

#[tokio::test]
async fn what_users_chose_is_in_the_snapshot() {
    let mut polled = Polled::new(&ROLE_SCOPES).await;
    let choose = |server: &mut crate::sim::Server| {
        let options = json!({"profile": "large", "image": "a/b:1"});
        server.user_options = options.as_object().unwrap().clone();
    };
    choose(polled.sim.world_mut().server_mut("ada", "").unwrap());
    let (turn, _) = polled.turn().await;
    let servers = turn.snapshot.servers.unwrap().value;
    let options = servers.iter().map(|server| server.options.as_deref());
    let expected = r#"{"image":"a/b:1","profile":"large"}"#;
    assert_eq!(options.collect::<Vec<_>>(), [Some(expected), None]);
    assert_eq!(servers[0].image.as_deref(), Some("a/b:1"));
}

#[tokio::test]
async fn everybody_was_last_seen_some_time_or_never() {
    let mut polled = Polled::new(&ROLE_SCOPES).await;
    polled.sim.world_mut().add_user("cleo");
    let [ada, cleo] = ["ada", "cleo"].map(UserName::from);
    let (turn, _) = polled.turn().await;
    let not_yet = turn.snapshot.last_seen.of(&cleo);
    assert!(matches!(not_yet, Some(Seen::NotYet(_))), "{not_yet:?}");
    assert!(matches!(
        turn.snapshot.last_seen.of(&ada),
        Some(Seen::At(_))
    ));
    let later = "2026-11-20T12:30:00Z".parse().unwrap();
    let server = |server: &mut crate::sim::Server| server.last_activity = Some(later);
    server(polled.sim.world_mut().server_mut("ada", "").unwrap());
    polled.turn().await;
    polled.sim.world_mut().stop_server("ada", "");
    // Also when the server is gone, and before all users are read again.
    let (turn, _) = polled.turn().await;
    assert_eq!(turn.snapshot.last_seen.of(&ada), Some(Seen::At(later)));
    // Of whoever came last the hub tells at each look.
    let first_look = not_yet;
    let not_yet = turn.snapshot.last_seen.of(&cleo);
    assert!(matches!(not_yet, Some(Seen::NotYet(_))), "{not_yet:?}");
    assert!(not_yet > first_look, "{not_yet:?} {first_look:?}");
    let came = |user: &mut crate::sim::User| user.last_activity = Some(later);
    came(polled.sim.world_mut().user_mut("cleo").unwrap());
    let (turn, _) = polled.turn().await;
    assert_eq!(turn.snapshot.last_seen.of(&cleo), Some(Seen::At(later)));
}

#[tokio::test]
async fn a_token_that_may_not_see_activity_knows_of_nobody_that_they_never_came() {
    let scopes = ROLE_SCOPES.iter().copied();
    let scopes: Vec<&str> = scopes
        .filter(|scope| *scope != "read:users:activity")
        .collect();
    let mut polled = Polled::new(&scopes).await;
    polled.sim.world_mut().add_user("cleo");
    let (turn, _) = polled.turn().await;
    assert!(turn.snapshot.users.is_some());
    assert_eq!(turn.snapshot.last_seen.of(&"cleo".into()), None);
}

#[tokio::test]
async fn without_the_scope_everything_but_the_numbers_is_read() {
    let scopes = ROLE_SCOPES.iter().copied();
    let scopes: Vec<&str> = scopes.filter(|scope| *scope != "read:metrics").collect();
    let mut polled = Polled::new(&scopes).await;
    let (turn, round) = polled.turn().await;
    assert!(!round.has_failed());
    assert!(turn.snapshot.groups.is_some() && turn.snapshot.servers.is_some());
    assert_eq!(turn.numbers, None);
    let error = polled.own.last_error(Data::Numbers);
    assert!(
        matches!(
            error,
            Some(ReadError {
                kind: crate::hub::ErrorKind::MissingScope,
                ..
            })
        ),
        "{error:?}"
    );
    assert_eq!(polled.own.last_error(Data::Servers), None);
}

#[tokio::test]
async fn a_hub_that_fails_and_then_tells_of_servers_is_asked_for_numbers() {
    let scopes = ROLE_SCOPES.iter().copied();
    let hidden = ["list:groups", "read:groups"];
    let scopes: Vec<&str> = scopes.filter(|scope| !hidden.contains(scope)).collect();
    let mut polled = Polled::new(&scopes).await;
    let (turn, round) = polled.turn().await;
    assert!(round.has_failed());
    assert!(turn.snapshot.servers.is_some());
    assert!(turn.numbers.is_some());
}

#[tokio::test]
async fn a_hub_that_fails_is_not_asked_for_numbers() {
    let mut polled = Polled::new(&ROLE_SCOPES).await;
    polled.sim.world_mut().remove_token("t");
    let (turn, round) = polled.turn().await;
    assert!(round.has_failed());
    assert_eq!(turn.numbers, None);
    let requests = polled.sim.requests();
    let asked = requests.iter().any(|request| request.contains("metrics"));
    assert!(!asked, "{requests:?}");
}

#[tokio::test]
async fn a_part_that_was_not_read_again_keeps_when_its_read_began() {
    let mut polled = Polled::new(&ROLE_SCOPES).await;
    let (first, _) = polled.turn().await;
    let began = first.began.servers.unwrap();
    assert!(began.at <= first.snapshot.servers.as_ref().unwrap().at);
    let (second, _) = polled.turn().await;
    assert!(second.began.servers.unwrap().instant > began.instant);
    assert!(second.began.users.unwrap().instant > first.began.users.unwrap().instant);
    polled.sim.world_mut().remove_token("t");
    let (third, _) = polled.turn().await;
    assert_eq!(third.began.servers, second.began.servers);
    assert_eq!(third.began.groups, second.began.groups);
    assert_eq!(third.began.users, second.began.users);
}
