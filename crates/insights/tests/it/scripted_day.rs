//! A scripted day on real hubs: servers start, stop and crash, hub and service are killed and
//! started again. What the history says afterwards is compared with the script.
//!
//! Each step waits until the hub says that it happened and, where the service runs, until the
//! service has seen it. Between which moments it happened is noted, so that nothing depends on how
//! long a step takes.

use crate::support::{BINARY, HubOptions, READER_TOKEN, RealHub, Service, block_on, http, until};
use insights::poll::clock::now;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use model::diff::Running;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;
use store::{Engine, EngineSettings, Folder, Format, Limits, Present, Store};

pub(crate) const TESTS: &[crate::Test] = &[
    ("the_history_of_a_day_on_a_hub_of_6_matches", long_day),
    ("the_history_of_a_day_on_a_hub_of_5_matches", || {
        short_day("5");
    }),
    ("the_history_of_a_day_on_a_hub_of_4_matches", || {
        short_day("4");
    }),
];

const ADA: Key = ("ada", "");
const LAB: Key = ("bob", "lab");
const GPU: Key = ("bob", "gpu");
const EVE: Key = ("eve", "");
const FINN: Key = ("finn", "");

fn long_day() {
    let mut day = Day::begin("6.1");
    day.start_service();
    day.start_servers(&[
        (ADA, json!({"profile": "small"})),
        (LAB, json!({})),
        (GPU, json!({"profile": "gpu", "hours": 2})),
        (EVE, json!({})),
    ]);
    day.group("chemistry", Method::POST, &json!({}));
    day.join("eve", "chemistry");
    day.join("finn", "physics");
    day.service_has_seen_everything();

    let endings = [day.stop(LAB)];
    day.service_sees(endings, "stopped");
    let endings = [day.crash(EVE)];
    day.service_sees(endings, "crashed or evicted");
    day.leave("finn", "physics");
    day.service_has_seen_everything();

    // The service was away, and nothing happened.
    day.kill_service();
    day.start_service();
    day.service_has_seen_everything();

    // The counter of stops explains the one server that is gone.
    day.kill_service();
    let endings = [day.stop(GPU)];
    day.delete_group("chemistry", &["eve"]);
    day.start_service();
    day.service_sees(endings, "stopped");

    // One stop and two servers that are gone: it is not known whose stop it was.
    day.start_servers(&[
        (EVE, json!({"profile": "large"})),
        (FINN, json!({})),
        (GPU, json!({"profile": "gpu"})),
    ]);
    day.kill_service();
    let endings = [day.stop(EVE), day.crash(FINN)];
    day.start_service();
    day.service_sees(endings, "unobserved");

    // The next hub adopts one server and misses the other.
    day.kill_hub();
    let endings = [day.crash_without_hub(GPU)];
    day.start_hub(Cleanup::No);
    day.service_sees(endings, "hub restart");

    // Servers outlive a hub that is stopped and does not clean up.
    day.start_hub(Cleanup::Yes);
    day.service_has_seen_everything();

    day.kill_service();
    day.kill_hub();
    let known = day.present();
    day.start_service();
    day.shows_what_was_known(&known);
    day.start_hub(Cleanup::Yes);
    day.service_has_seen_everything();

    let endings = [day.stop_with_hub(ADA)];
    day.start_hub(Cleanup::Yes);
    day.service_sees(endings, "hub restart");

    day.start_servers(&[(ADA, json!({"profile": "small"}))]);
    day.end();
}

fn short_day(version: &'static str) {
    let mut day = Day::begin(version);
    day.start_service();
    day.start_servers(&[
        (ADA, json!({"profile": "small"})),
        (LAB, json!({})),
        (EVE, json!({})),
    ]);
    let endings = [day.stop(LAB)];
    day.service_sees(endings, "stopped");
    let endings = [day.crash(EVE)];
    day.service_sees(endings, "crashed or evicted");
    day.join("finn", "physics");
    day.service_has_seen_everything();
    day.kill_service();
    day.start_service();
    day.service_has_seen_everything();
    day.end();
}

/// User and name of the server.
type Key = (&'static str, &'static str);

const HUB_NAME: &str = "day";
const ZONE: &str = "Europe/Berlin";

/// Whether a hub that is stopped stops its servers.
#[derive(Clone, Copy)]
enum Cleanup {
    Yes,
    No,
}

impl Cleanup {
    fn variable(self) -> String {
        let cleanup = matches!(self, Self::Yes);
        let config = json!({
            "JupyterHub": {"cleanup_servers": cleanup},
            "Spawner": {"poll_interval": 1},
        });
        config.to_string()
    }
}

/// The hub, the service, and what the script knows.
struct Day {
    hub: Option<RealHub>,
    service: Option<Service>,
    store: Store,
    folder: tempfile::TempDir,
    begun: Timestamp,
    /// When the service was last started.
    service_started: Timestamp,
    running: BTreeMap<Key, Run>,
    ended: Vec<Ended>,
    members: Vec<(&'static str, &'static str)>,
    moves: Vec<Moved>,
}

/// A server that runs.
struct Run {
    started: Timestamp,
    options: Option<Value>,
    pid: Pid,
}

/// What the script knows about the end of a server before the service has seen it.
struct Ending {
    key: Key,
    /// The script knew that it ran.
    ran: Timestamp,
    /// The last look of the service before.
    seen: Timestamp,
    /// The hub did not list it any more; the last look if nobody looked then.
    gone: Timestamp,
}

/// A server that ended.
struct Ended {
    key: Key,
    run: Run,
    reason: &'static str,
    at: Span,
    last_seen: Span,
}

/// Somebody who joined or left.
struct Moved {
    user: &'static str,
    group: &'static str,
    change: &'static str,
    reason: Option<&'static str>,
    /// Not known for members who were there when the history began.
    not_before: Option<Timestamp>,
    at: Span,
}

/// Something happened between these moments.
#[derive(Clone, Copy, Debug)]
struct Span(Timestamp, Timestamp);

impl Span {
    /// Tables hold microseconds.
    #[track_caller]
    fn check(self, at: Timestamp, what: &str) {
        let Self(from, to) = self;
        let from = Timestamp::from_microsecond(from.as_microsecond()).unwrap();
        assert!((from..=to).contains(&at), "{what}: {at} is not in {self:?}");
    }
}

/// The hub's answers are as old as they were on their way.
const ON_THE_WAY: SignedDuration = SignedDuration::from_secs(1);

impl Day {
    /// Starts a hub with four users, two of them in groups.
    fn begin(version: &'static str) -> Self {
        let people = json!({
            "users": ["eve", "finn"],
            "groups": {"art": {"users": ["ada"]}, "physics": {"users": ["ada", "bob"]}},
        });
        let hub = RealHub::start(HubOptions {
            service: None,
            variables: vec![("HUB_CONFIG", Cleanup::No.variable())],
            ..HubOptions::new(version, people)
        });
        let folder = tempfile::Builder::new().prefix("day-").tempdir().unwrap();
        let prepared = Folder::prepare(&folder.path().join("store")).unwrap();
        Self {
            hub: Some(hub),
            service: None,
            store: Store::open(prepared).unwrap(),
            folder,
            begun: now(),
            service_started: now(),
            running: BTreeMap::new(),
            ended: Vec::new(),
            members: Vec::new(),
            moves: Vec::new(),
        }
    }

    fn settings(&self) -> Vec<String> {
        let path = self.folder.path().join("store");
        let settings = [
            format!("store.path={}", path.display()),
            "store.keep=always".to_owned(),
            "store.flush_interval_seconds=5".to_owned(),
            format!("hub.name={HUB_NAME}"),
            format!("hub.timezone={ZONE}"),
        ];
        let words = settings
            .into_iter()
            .flat_map(|setting| ["--set".to_owned(), setting]);
        words.collect()
    }

    fn hub(&self) -> &RealHub {
        self.hub.as_ref().unwrap()
    }

    /// A request to the hub's API as the administrator, without the proxy between, which a hub
    /// that was killed leaves to the next one. `None` without an answer.
    fn ask(&self, method: Method, path: &str, body: &Value) -> Option<(u16, Value)> {
        let url = format!("{}hub/api/{path}", self.hub().internal_url);
        let request = http().request(method, url);
        let request = request.bearer_auth(crate::support::ADMIN_TOKEN);
        let request = if body.is_null() {
            request
        } else {
            request.json(body)
        };
        block_on(async {
            let response = request.send().await.ok()?;
            let status = response.status().as_u16();
            Some((status, response.json().await.unwrap_or(Value::Null)))
        })
    }

    #[track_caller]
    fn must(&self, method: Method, path: &str, body: &Value) {
        let (status, reply) = self.ask(method, path, body).unwrap();
        assert!(status < 300, "{path}: {status} {reply}\n{}", self.logs());
    }

    fn logs(&self) -> String {
        let service = self.service.as_ref();
        let service = service.map(|service| service.process.output());
        let (service, hub) = (service.unwrap_or_default(), self.hub().log());
        format!("--- service\n{service}\n--- hub\n{hub}")
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, attempt: impl Fn() -> Option<T>) -> T {
        until(what, attempt).unwrap_or_else(|| panic!("never saw: {what}\n{}", self.logs()))
    }

    /// What the hub says of a server; null if it does not list it.
    fn server(&self, (user, server): Key) -> Option<Value> {
        let (status, reply) = self.ask(Method::GET, &format!("users/{user}"), &Value::Null)?;
        assert_eq!(status, 200, "{reply}");
        Some(reply["servers"][server].clone())
    }

    // What the service knows.

    fn present(&self) -> Present {
        block_on(self.store.present(HUB_NAME)).unwrap()
    }

    fn seen_running((user, server): Key, present: &Present) -> Option<&Running> {
        let servers = present.servers.as_ref()?;
        let mut servers = servers.value.iter();
        servers.find(|known| known.key.user.as_str() == user && &*known.key.server == server)
    }

    /// Waits until a look that began after now has brought exactly what the script knows.
    #[track_caller]
    fn service_has_seen_everything(&mut self) {
        let asked = now();
        self.wait("everything as the script knows it", || {
            let present = self.present();
            let servers = present.servers.as_ref().filter(|part| part.at > asked)?;
            let groups = present.groups.as_ref().filter(|part| part.at > asked)?;
            let mut known: Vec<(&str, &str, Timestamp)> = Vec::new();
            for running in &servers.value {
                let key = &running.key;
                known.push((key.user.as_str(), &key.server, running.started));
            }
            let scripted = self.running.iter();
            let scripted = scripted.map(|(&(user, server), run)| (user, server, run.started));
            let mut members: Vec<(&str, &str)> = Vec::new();
            for group in &*groups.value {
                let all = group.members.iter();
                members.extend(all.map(|user| (user.as_str(), group.name.as_str())));
            }
            members.sort_unstable();
            let is_all = known.into_iter().eq(scripted) && members == self.members;
            is_all.then_some(())
        });
        for moved in &mut self.moves {
            let Span(from, to) = moved.at;
            moved.at = Span(from, to.min(now()));
        }
    }

    // The service.

    #[track_caller]
    fn start_service(&mut self) {
        let is_first = self.members.is_empty();
        self.service_started = now();
        let settings = self.settings();
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let service = Service::start(&self.hub().internal_url, READER_TOKEN, &settings);
        self.service = Some(service);
        if is_first {
            for (user, group) in [("ada", "art"), ("ada", "physics"), ("bob", "physics")] {
                self.moved(user, group, "joined");
                self.moves.last_mut().unwrap().not_before = None;
            }
            self.service_has_seen_everything();
        }
    }

    fn kill_service(&mut self) {
        let mut service = self.service.take().unwrap();
        service.process.signal(Signal::SIGKILL);
        service.process.wait(Duration::from_secs(10));
    }

    /// A service whose hub does not answer shows what the one before knew, with its age.
    #[track_caller]
    fn shows_what_was_known(&self, known: &Present) {
        let service = self.service.as_ref().unwrap();
        let groups = known.groups.as_ref().unwrap().at;
        let servers = known.servers.as_ref().unwrap().at;
        let asked = now();
        let shown = service.scrape();
        let value = |name: &str, label: &str| shown.value(name, &[label]);
        for (data, at) in [("groups", groups), ("servers", servers)] {
            let label = format!("data=\"{data}\"");
            let age = value("jupyterhub_insights_data_age_seconds", &label).unwrap();
            let oldest = now().duration_since(at).as_secs_f64() + 0.001;
            let youngest = asked.duration_since(at).as_secs_f64() - 0.001;
            assert!((youngest..=oldest).contains(&age), "{data}: {age}");
        }
        assert_eq!(value("jupyterhub_insights_hub_up", ""), Some(0.0));
        let mut members: Vec<String> = Vec::new();
        for &(user, group) in &self.members {
            members.push(format!("{user}@{group}"));
        }
        for user in ["eve", "finn"] {
            if self.members.iter().all(|(member, _)| *member != user) {
                members.push(format!("{user}@none"));
            }
        }
        members.sort();
        assert_eq!(shown.memberships(), members);
        let n_active = value("jupyterhub_group_active_users", "usergroup=\"art\"");
        assert_eq!(n_active, Some(1.0));
        assert_eq!(
            self.present().servers.unwrap().at,
            servers,
            "nothing is new"
        );
    }

    // The hub.

    fn kill_hub(&mut self) {
        let hub = self.hub.as_mut().unwrap();
        hub.process.signal(Signal::SIGKILL);
        hub.process.wait(Duration::from_secs(10));
    }

    /// Stops the hub if it runs, and starts it again.
    fn start_hub(&mut self, next: Cleanup) {
        let mut hub = self.hub.take().unwrap();
        hub.set_next("HUB_CONFIG", next.variable());
        self.hub = Some(hub.start_again());
    }

    // Servers.

    /// Starts servers at the same time, and waits until they are ready and the service knows.
    #[track_caller]
    fn start_servers(&mut self, servers: &[(Key, Value)]) {
        std::thread::scope(|scope| {
            for ((user, server), options) in servers {
                let path = server_path((user, server));
                let day = &*self;
                scope.spawn(move || day.must(Method::POST, &path, options));
            }
        });
        for (key, options) in servers {
            let server = self.wait(&format!("{key:?} to be ready"), || {
                self.server(*key).filter(|server| server["ready"] == true)
            });
            let pid = server["state"]["pid"].as_i64().unwrap();
            let is_chosen = options.as_object().is_some_and(|chosen| !chosen.is_empty());
            let run = Run {
                started: time(&server["started"]),
                options: is_chosen.then(|| options.clone()),
                pid: Pid::from_raw(i32::try_from(pid).unwrap()),
            };
            self.running.insert(*key, run);
        }
        self.service_has_seen_everything();
    }

    /// The last moments of a server.
    #[track_caller]
    fn going_to_end(&self, key: Key) -> Ending {
        let present = self.present();
        let known = Self::seen_running(key, &present).unwrap();
        let ran = now();
        Ending {
            key,
            ran,
            seen: known.last_seen,
            gone: ran,
        }
    }

    #[track_caller]
    fn stop(&self, key: Key) -> Ending {
        let ending = self.going_to_end(key);
        self.must(Method::DELETE, &server_path(key), &Value::Null);
        self.gone(ending)
    }

    /// Kills the server's process, which the hub notices at its next look.
    #[track_caller]
    fn crash(&self, key: Key) -> Ending {
        let ending = self.going_to_end(key);
        kill(self.running[&key].pid, Signal::SIGKILL).unwrap();
        self.gone(ending)
    }

    #[track_caller]
    fn crash_without_hub(&self, key: Key) -> Ending {
        let ending = self.going_to_end(key);
        kill(self.running[&key].pid, Signal::SIGKILL).unwrap();
        ending
    }

    /// Stops a hub that stops its servers as it goes.
    #[track_caller]
    fn stop_with_hub(&mut self, key: Key) -> Ending {
        let ending = self.going_to_end(key);
        self.hub.as_mut().unwrap().process.stop();
        let gone = now().checked_add(ON_THE_WAY).unwrap();
        Ending { gone, ..ending }
    }

    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the ending is complete afterwards"
    )]
    fn gone(&self, ending: Ending) -> Ending {
        self.hub_misses(ending.key);
        let gone = match self.service {
            Some(_) => now().checked_add(ON_THE_WAY).unwrap(),
            None => ending.seen,
        };
        Ending { gone, ..ending }
    }

    #[track_caller]
    fn hub_misses(&self, key: Key) {
        self.wait(&format!("{key:?} to be gone"), || {
            self.server(key).filter(Value::is_null)
        });
    }

    /// Waits until the service misses these servers, too.
    #[track_caller]
    fn service_sees<const N: usize>(&mut self, endings: [Ending; N], reason: &'static str) {
        for ending in endings {
            let Ending {
                key,
                ran,
                seen,
                gone,
            } = ending;
            self.wait(&format!("{key:?} to be missed by the service"), || {
                let present = self.present();
                Self::seen_running(key, &present).is_none().then_some(())
            });
            self.ended.push(Ended {
                key,
                run: self.running.remove(&key).unwrap(),
                reason,
                at: Span(ran.max(self.service_started), now()),
                last_seen: Span(seen, gone),
            });
        }
        self.service_has_seen_everything();
    }

    // Groups.

    fn group(&self, group: &str, method: Method, body: &Value) {
        self.must(method, &format!("groups/{group}"), body);
    }

    fn moved(&mut self, user: &'static str, group: &'static str, change: &'static str) {
        let is_joined = change == "joined";
        self.members.retain(|member| *member != (user, group));
        if is_joined {
            self.members.push((user, group));
            self.members.sort_unstable();
        }
        let not_before = self.present().groups.map(|groups| groups.at);
        self.moves.push(Moved {
            user,
            group,
            change,
            reason: None,
            not_before,
            at: Span(now(), Timestamp::MAX),
        });
    }

    fn join(&mut self, user: &'static str, group: &'static str) {
        self.moved(user, group, "joined");
        let path = format!("groups/{group}/users");
        self.must(Method::POST, &path, &json!({"users": [user]}));
    }

    fn leave(&mut self, user: &'static str, group: &'static str) {
        self.moved(user, group, "left");
        let path = format!("groups/{group}/users");
        self.must(Method::DELETE, &path, &json!({"users": [user]}));
    }

    fn delete_group(&mut self, group: &'static str, members: &[&'static str]) {
        for user in members {
            self.moved(user, group, "left");
            self.moves.last_mut().unwrap().reason = Some("group deleted");
        }
        self.group(group, Method::DELETE, &Value::Null);
    }

    // What the history says.

    /// Stops the service, and compares.
    fn end(mut self) {
        self.service_has_seen_everything();
        let mut service = self.service.take().unwrap();
        service.process.signal(Signal::SIGTERM);
        let status = service.process.wait(Duration::from_secs(30));
        let log = service.process.output();
        assert!(status.success(), "{status}\n{log}");
        self.compare_sessions();
        self.compare_running();
        self.compare_events();
        self.compare_memberships();
        self.compare_days();
        self.derives_the_same_again();
    }

    fn query(&self, sql: &str) -> Vec<Value> {
        let engine = Engine::new(EngineSettings::new(self.folder.path().join("temporary")));
        let query = self.store.query(&engine, sql, Limits::default(), now());
        let table = block_on(query).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let mut text = Vec::new();
        table.write(Format::Json, &mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn compare_sessions(&mut self) {
        self.ended
            .sort_by_key(|ended| (ended.key, ended.run.started));
        let rows = self.query(r#"select * from sessions order by "user", server, started"#);
        let shown = lines(&rows);
        assert_eq!(rows.len(), self.ended.len(), "sessions:\n{shown}");
        for (row, ended) in rows.iter().zip(&self.ended) {
            let run = ended.run.started;
            let what = format!("{:?} of {run}\n{shown}", ended.key);
            assert_eq!(key_of(row), ended.key, "{what}");
            assert_eq!(time(&row["started"]), ended.run.started, "{what}");
            assert_eq!(row["end_reason"], ended.reason, "{what}");
            assert_eq!(options_of(row), ended.run.options, "{what}");
            assert_eq!(row["revision"], 1, "{what}");
            ended
                .at
                .check(time(&row["ended"]), &format!("end of {what}"));
            let last_seen = time(&row["last_seen"]);
            ended
                .last_seen
                .check(last_seen, &format!("last sign of {what}"));
        }
    }

    fn compare_running(&self) {
        let rows = self.query(r#"select * from running_sessions order by "user", server"#);
        assert_eq!(rows.len(), self.running.len(), "{}", lines(&rows));
        for (row, (key, run)) in rows.iter().zip(&self.running) {
            assert_eq!(key_of(row), *key);
            assert_eq!(time(&row["started"]), run.started);
            assert_eq!(options_of(row), run.options);
        }
    }

    fn compare_events(&self) {
        let rows = self.query(
            r#"select kind, "user", server, detail, count(*) as n, count(distinct id) as n_ids
               from events group by all order by kind, "user", server, detail"#,
        );
        let shown = lines(&rows);
        assert!(
            rows.iter().all(|row| row["n"] == 1 && row["n_ids"] == 1),
            "{shown}"
        );
        let about = |kind: &str| {
            let rows = rows.iter().filter(|row| row["kind"] == kind);
            let mut found: Vec<String> = rows
                .map(|row| {
                    let detail = row["detail"].as_str().unwrap_or("null");
                    let detail: Value = serde_json::from_str(detail).unwrap();
                    let started = detail["started"].as_str().unwrap_or_default();
                    format!("{}/{} {started}", row["user"], row["server"])
                })
                .collect();
            found.sort();
            found
        };
        let scripted = |runs: &mut dyn Iterator<Item = (Key, &Run)>| {
            let runs = runs.map(|((user, server), run)| {
                format!("{}/{} {}", json!(user), json!(server), run.started)
            });
            let mut runs: Vec<String> = runs.collect();
            runs.sort();
            runs
        };
        let mut ended = self.ended.iter().map(|ended| (ended.key, &ended.run));
        assert_eq!(about("server-gone"), scripted(&mut ended), "{shown}");
        let ended = self.ended.iter().map(|ended| (ended.key, &ended.run));
        let mut all = ended.chain(self.running.iter().map(|(key, run)| (*key, run)));
        assert_eq!(about("server-seen"), scripted(&mut all), "{shown}");
        let users = ["ada", "bob", "eve", "finn"].map(|user| format!("\"{user}\"/null "));
        assert_eq!(about("user-added"), users, "{shown}");
        let known = [
            "server-gone",
            "server-seen",
            "server-activity",
            "user-added",
        ];
        let is_known = |row: &Value| known.contains(&row["kind"].as_str().unwrap());
        assert!(rows.iter().all(is_known), "{shown}");
    }

    fn compare_memberships(&self) {
        let order = r#"order by at, "group", "user""#;
        let rows = self.query(&format!("select * from memberships {order}"));
        let shown = lines(&rows);
        let mut left: Vec<&Moved> = self.moves.iter().collect();
        for row in &rows {
            let at = left.iter().position(|moved| {
                row["user"] == moved.user
                    && row["group"] == moved.group
                    && row["change"] == moved.change
            });
            let at = at.unwrap_or_else(|| panic!("nobody scripted {row}\n{shown}"));
            let moved = left.remove(at);
            assert_eq!(row["reason"].as_str(), moved.reason, "{row}");
            moved.at.check(time(&row["at"]), &row.to_string());
            let not_before = row["not_before"].as_str();
            assert_eq!(not_before.is_some(), moved.not_before.is_some(), "{row}");
            if let Some(known) = moved.not_before {
                let not_before = time(&row["not_before"]);
                Span(known, moved.at.1).check(not_before, &row.to_string());
            }
        }
        assert!(left.is_empty(), "{} moves are missing\n{shown}", left.len());
        let rows = self.query(r#"select "user", "group" from current_members order by 1, 2"#);
        let members = rows.iter().map(|row| {
            (
                row["user"].as_str().unwrap(),
                row["group"].as_str().unwrap(),
            )
        });
        assert!(members.eq(self.members.iter().copied()), "{}", lines(&rows));
    }

    /// Days are counted when they are over.
    fn compare_days(&self) {
        let zone = TimeZone::get(ZONE).unwrap();
        let first = self.begun.to_zoned(zone.clone()).date();
        let rows = self.query("select * from user_days");
        if first == now().to_zoned(zone).date() {
            assert!(rows.is_empty(), "{}", lines(&rows));
        } else {
            let day = first.to_string();
            assert!(
                rows.iter().all(|row| row["day"] == day.as_str()),
                "{}",
                lines(&rows)
            );
        }
    }

    fn derives_the_same_again(&self) {
        let mut command = Command::new(BINARY);
        command
            .args(["store", "rebuild"])
            .args(self.settings())
            .arg("--set")
            .arg(format!("hub.url={}", self.hub().url))
            .env_clear();
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let text = String::from_utf8_lossy(&output.stdout);
        let n_sessions = self.ended.len();
        let same = format!("0 of {n_sessions} sessions and 0 of ");
        assert!(text.starts_with(&same), "{text}\n{errors}");
    }
}

impl Drop for Day {
    /// Servers outlive a hub that does not clean up.
    fn drop(&mut self) {
        for run in self.running.values() {
            let _ = kill(run.pid, Signal::SIGKILL);
        }
    }
}

fn server_path((user, server): Key) -> String {
    match server {
        "" => format!("users/{user}/server"),
        name => format!("users/{user}/servers/{name}"),
    }
}

#[track_caller]
fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    text.parse().unwrap()
}

fn key_of(row: &Value) -> (&str, &str) {
    (
        row["user"].as_str().unwrap(),
        row["server"].as_str().unwrap(),
    )
}

fn options_of(row: &Value) -> Option<Value> {
    let text = row["options"].as_str()?;
    Some(serde_json::from_str(text).unwrap())
}

fn lines(rows: &[Value]) -> String {
    let mut text = String::new();
    for row in rows {
        writeln!(text, "{row}").unwrap();
    }
    text
}
