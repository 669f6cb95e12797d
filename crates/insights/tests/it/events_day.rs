//! A scripted day of logins, failures, starts, stops and a killed server on real hubs, told through
//! `configure(c)` alone. What the history says afterwards is the script: exactly its events, and
//! its sessions.

use crate::support::{
    Browser, HubOptions, METRICS_TOKEN, ManagedService, RealHub, block_on, http, on_folder, scrape,
    sql, until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) const TESTS: &[crate::Test] = &[
    ("configure_alone_tells_the_day_of_a_hub_of_6", || day("6.1")),
    ("configure_alone_tells_the_day_of_a_hub_of_5", || day("5")),
    ("configure_alone_tells_the_day_of_a_hub_of_4", || day("4")),
];

/// What somebody types into the wrong field.
const SECRET: &str = "hunter2 my secret";

struct Day {
    hub: RealHub,
    store: PathBuf,
    /// Kind, user and server of what happened so far.
    script: Vec<[String; 3]>,
    _folder: tempfile::TempDir,
}

fn day(version: &'static str) {
    let mut day = Day::begin(version);
    day.happens(&["hub-started ~ ~"]);

    let hub = &day.hub;
    let mut ada = Browser::new(hub);
    assert!(ada.log_in("ada", None).url.path().ends_with("/hub/token"));
    Browser::new(hub).log_in("ada", Some("wrong"));
    Browser::new(hub).log_in(SECRET, Some("ada"));
    a_new_user_reaches_the_service(hub, "zed");
    day.happens(&[
        "login ada ~",
        "login-failed ada ~",
        "login-failed ~ ~",
        "login zed ~",
    ]);

    let started = [
        "spawn-asked ada ·",
        "server-start ada ·",
        "spawn-succeeded ada ·",
    ];
    day.start("ada", "");
    day.happens(&started);
    day.stop("ada", "");
    day.happens(&["session-end ada ·", "server-stop ada ·"]);
    let pid = day.start("ada", "");
    day.happens(&started);
    kill(pid, Signal::SIGKILL).unwrap();
    day.happens(&["server-died ada ·", "session-end ada ·"]);

    let (status, reply) = day.hub.api(Method::POST, "users/ben/server", &json!({}));
    assert!(status >= 400, "{status} {reply}");
    day.happens(&["spawn-asked ben ·", "spawn-failed ben ·"]);

    // What happens while the service is away comes when it is back.
    let lab = day.start("bob", "lab");
    day.happens(&[
        "spawn-asked bob lab",
        "server-start bob lab",
        "spawn-succeeded bob lab",
    ]);
    let service = day.service_pid();
    kill(service, Signal::SIGKILL).unwrap();
    Browser::new(&day.hub).log_in("bob", None);
    ada_logs_out(&day.hub);
    day.happens(&["login bob ~", "login ada ~", "logout ada ~"]);
    assert_ne!(day.service_pid(), service);

    // A hub that stops ends its servers; the last words arrive after its next start.
    day = day.restart_hub();
    day.happens(&["session-end bob lab", "hub-started ~ ~"]);
    assert!(kill(lab, None).is_err(), "the server outlived the hub");
    day.end();
}

fn ada_logs_out(hub: &RealHub) {
    let mut ada = Browser::new(hub);
    ada.log_in("ada", None);
    ada.log_out();
}

/// With nothing but our line in the hub's configuration.
fn a_new_user_reaches_the_service(hub: &RealHub, user: &str) {
    let mut browser = Browser::new(hub);
    assert_eq!(browser.log_in(user, None).status, 200);
    let page = browser.open("services/insights/");
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(
        page.url.path().ends_with("/services/insights/me"),
        "{}",
        page.url
    );
    let token = hub.user_token(user);
    let url = format!("{}hub/api/user", hub.url);
    let who = block_on(async {
        let response = http().get(url).bearer_auth(&token).send().await.unwrap();
        response.json::<Value>().await.unwrap()
    });
    let scopes = who["scopes"].as_array().unwrap();
    assert!(
        scopes.contains(&json!("access:services!service=insights")),
        "{who}"
    );
    // What everybody has is enough to look, and not to write.
    let reply = crate::events::send(&hub.service_url("api/v1/events"), Some(&token), b"{}", &[]);
    assert_eq!(reply.status, 403, "{reply:?}");
}

impl Day {
    fn begin(version: &'static str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("events-day-")
            .tempdir()
            .unwrap();
        let store = folder.path().join("store");
        let environment = json!({
            "JUPYTERHUB_INSIGHTS__HUB__INTERVAL_SECONDS": "1",
            "JUPYTERHUB_INSIGHTS__STORE__PATH": store,
            "JUPYTERHUB_INSIGHTS__STORE__KEEP": "always",
            "JUPYTERHUB_INSIGHTS__STORE__FLUSH_INTERVAL_SECONDS": "5",
        });
        let service = ManagedService {
            environment,
            ..ManagedService::default()
        };
        let hub = RealHub::start(HubOptions {
            service: Some(service),
            variables: vec![
                ("INSIGHTS_CONFIGURE", json!({"addresses": true}).to_string()),
                ("FAIL_SPAWN_OF", "ben".to_owned()),
                (
                    "HUB_CONFIG",
                    json!({"Spawner": {"poll_interval": 1}}).to_string(),
                ),
            ],
            ..HubOptions::new(version, json!({"users": ["ada", "ben", "bob", "zed"]}))
        });
        Self {
            hub,
            store,
            script: Vec::new(),
            _folder: folder,
        }
    }

    /// Waits until the history tells this next, as `kind user server`: `~` is none and `·` the
    /// default server. Anything else is wrong.
    #[track_caller]
    fn happens(&mut self, next: &[&str]) {
        for line in next {
            let mut words = line.split(' ').map(str::to_owned);
            self.script
                .push(std::array::from_fn(|_| words.next().unwrap()));
        }
        let seen = until("the script", || {
            let told = told(&self.store)?;
            (told.len() >= self.script.len()).then_some(told)
        });
        let seen = seen.unwrap_or_else(|| {
            panic!("{:#?}\n{}", told(&self.store), self.hub.log());
        });
        assert_eq!(seen, self.script, "{}", self.hub.log());
    }

    fn server(&self, user: &str, server: &str) -> Option<Value> {
        let (_, reply) = self
            .hub
            .api(Method::GET, &format!("users/{user}"), &Value::Null);
        Some(reply["servers"][server].clone()).filter(|server| !server.is_null())
    }

    fn path(user: &str, server: &str) -> String {
        match server {
            "" => format!("users/{user}/server"),
            name => format!("users/{user}/servers/{name}"),
        }
    }

    #[track_caller]
    fn start(&self, user: &str, server: &str) -> Pid {
        let (status, reply) = self
            .hub
            .api(Method::POST, &Self::path(user, server), &json!({}));
        assert!(status < 300, "{status} {reply}\n{}", self.hub.log());
        let ready = until("the server", || {
            self.server(user, server)
                .filter(|server| server["ready"] == true)
        });
        let pid = ready.unwrap()["state"]["pid"].as_i64().unwrap();
        Pid::from_raw(i32::try_from(pid).unwrap())
    }

    #[track_caller]
    fn stop(&self, user: &str, server: &str) {
        self.hub
            .api(Method::DELETE, &Self::path(user, server), &Value::Null);
        let gone = until("the end of the server", || {
            self.server(user, server).is_none().then_some(())
        });
        gone.unwrap();
    }

    fn service_pid(&self) -> Pid {
        let pids = until("the service", || {
            let pids = self.hub.service_pids();
            pids.first().copied()
        });
        Pid::from_raw(i32::try_from(pids.unwrap()).unwrap())
    }

    fn restart_hub(self) -> Self {
        Self {
            hub: self.hub.start_again(),
            ..self
        }
    }

    fn end(self) {
        let rows = |query: &str| sql(&self.store, query).rows();
        let live = self.health();
        for kind in [
            "login",
            "logout",
            "login-failed",
            "spawn-failed",
            "server-died",
        ] {
            assert!(live.contains(&format!("{kind} at 20")), "{kind}: {live}");
        }
        let crashed = "crashed or evicted";
        let restart = "hub restart";
        let sessions = [
            "ada,,stopped".to_owned(),
            format!("ada,,{crashed}"),
            format!("bob,lab,{restart}"),
        ];
        // The last one ends with the first look after the restart.
        let query = r#"select "user", server, end_reason from sessions order by started"#;
        until("the last session to end", || {
            (rows(query).len() == sessions.len()).then_some(())
        });
        let all = r#"select at, not_before, source, kind, "user", server, detail from events order by at"#;
        assert_eq!(rows(query), sessions, "{}", rows(all).join("\n"));
        // The hub's own times, to the microsecond.
        let exact = r#"select count(*) from sessions s join events e
            on e."user" = s."user" and e.at = s.ended where e.kind in ('session-end', 'server-died')"#;
        // A look may tell of an end before the event that knows it better.
        until("the hub's own times", || {
            (rows(exact) == ["3"]).then_some(())
        });
        assert_eq!(rows(exact), ["3"], "{}", rows(all).join("\n"));
        let details = "select kind, detail from events
            where kind in ('login', 'login-failed', 'spawn-failed') order by at";
        let details = rows(details).join("\n");
        for part in [
            "127.0.0.1",
            "DummyAuthenticator",
            "OrphanSpawner",
            "ValueError",
        ] {
            assert!(details.contains(part), "{part}: {details}");
        }
        assert_eq!(rows("select count(*) from dead_letters"), ["0"]);
        let ids = rows("select count(*) - count(distinct id) from events");
        assert_eq!(ids, ["0"]);
        self.nobody_wrote_the_secret();
        let Self {
            hub,
            store,
            _folder,
            ..
        } = self;
        drop(hub);
        let rebuilt = on_folder(&store, &["store", "rebuild"]);
        assert!(
            rebuilt.stdout.starts_with("0 of 3 sessions"),
            "{rebuilt:?}",
            rebuilt = rebuilt.stdout
        );
    }

    fn health(&self) -> String {
        let answer = scrape(&self.hub.service_url("health"), Some(METRICS_TOKEN));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let health: Value = serde_json::from_str(&answer.text).unwrap();
        let checks = health["checks"].as_array().unwrap();
        let hooks = checks.iter().find(|check| check["name"] == "events hooks");
        let hooks = hooks.unwrap_or_else(|| panic!("{health}"));
        assert_eq!(hooks["status"], "ok");
        hooks["reason"].as_str().unwrap().to_owned()
    }

    fn nobody_wrote_the_secret(&self) {
        for table in ["events", "dead_letters", "observations", "sessions"] {
            let told = sql(&self.store, &format!("select * from {table}"));
            assert_eq!(told.code, Some(0), "{}", told.stderr);
            assert!(!told.stdout.contains("hunter2"), "{}", told.stdout);
        }
        // The hub itself writes names that people log in with into its log; we add nothing.
        let log = self.hub.log();
        let ours = log.lines().filter(|line| line.contains("insights"));
        for line in ours {
            assert!(!line.contains("hunter2"), "{line}");
        }
        for entry in std::fs::read_dir(self.hub.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let is_spool = path.to_string_lossy().contains("spool");
            let text = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            assert!(!is_spool || !text.contains("hunter2"), "{}", path.display());
        }
    }
}

/// What hub and hooks told, in the order of its times.
fn told(store: &Path) -> Option<Vec<[String; 3]>> {
    let query = r#"select kind, coalesce("user", '~'),
        case when server is null then '~' when server = '' then '·' else server end
        from events where source in ('hub', 'hooks') order by at"#;
    let answer = sql(store, query);
    if answer.code != Some(0) {
        return None;
    }
    let rows = answer.rows();
    let rows = rows.iter().map(|row| {
        let mut fields = row.split(',').map(str::to_owned);
        std::array::from_fn(|_| fields.next().unwrap_or_default())
    });
    Some(rows.collect())
}
