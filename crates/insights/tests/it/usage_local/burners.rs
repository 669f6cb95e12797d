//! A hub whose servers are burners: scripts that use what they are told to, and say how much that
//! was.

use crate::support::{HubOptions, ManagedService, RealHub, block_on, http, tools, until};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// How far figures may be from what the burners report.
pub(crate) const SLACK: f64 = 0.05;

pub(crate) const MIB: f64 = 1024.0 * 1024.0;

/// A hub whose servers are burners.
pub(crate) struct Burners {
    pub(crate) hub: RealHub,
}

/// One of them, by user and server.
pub(crate) type Name = (&'static str, &'static str);

/// What a burner reported.
pub(crate) struct Report(pub(crate) Value);

impl Report {
    /// Processor time of the server, of all that it waited for, and of what left it while we looked.
    pub(crate) fn seconds(&self) -> f64 {
        self.number("own") + self.number("waited") + self.sum("lingerers")
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap()
    }

    pub(crate) fn sum(&self, name: &str) -> f64 {
        let numbers = self.0[name].as_array().unwrap().iter();
        numbers.map(|number| number.as_f64().unwrap()).sum()
    }
}

fn path((user, server): Name) -> String {
    match server {
        "" => format!("users/{user}/server"),
        server => format!("users/{user}/servers/{server}"),
    }
}

impl Burners {
    /// Of these people.
    pub(crate) fn start(
        people: Value,
        service: Option<ManagedService>,
        hub_config: &Value,
    ) -> Self {
        let python = tools().join("hub-6.1/bin/python");
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/usage_local/burner.py"
        );
        let mut config = json!({"Spawner": {"cmd": [python, script], "poll_interval": 1}});
        for (name, options) in hub_config.as_object().unwrap() {
            config[name] = options.clone();
        }
        let hub = RealHub::start(HubOptions {
            service,
            variables: vec![("HUB_CONFIG", config.to_string())],
            ..HubOptions::new("6.1", people)
        });
        Self { hub }
    }

    pub(crate) fn server(&self, name: Name) -> Option<Value> {
        let (_, user) = self
            .hub
            .api(Method::GET, &format!("users/{}", name.0), &Value::Null);
        Some(user["servers"][name.1].clone()).filter(|server| server["ready"] == true)
    }

    /// Gives the process.
    #[track_caller]
    pub(crate) fn begin(&self, name: Name) -> Pid {
        let (status, reply) = self.hub.api(Method::POST, &path(name), &json!({}));
        assert!(status < 300, "{status} {reply}\n{}", self.hub.log());
        let server = until("the server", || self.server(name));
        let server = server.unwrap_or_else(|| panic!("{}", self.hub.log()));
        let pid = server["state"]["pid"].as_i64().unwrap();
        Pid::from_raw(i32::try_from(pid).unwrap())
    }

    /// Gives the burner a job, waits for its end, and gives its report.
    pub(crate) fn job(&self, name: Name, job: &str) -> Report {
        let server = match name.1 {
            "" => String::new(),
            server => format!("{server}/"),
        };
        let url = format!("{}user/{}/{server}{job}", self.hub.url, name.0);
        let reply = block_on(async {
            // On a busy machine its seconds of work take many more.
            let request = http().get(&url).timeout(Duration::from_mins(3));
            let response = request.send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            assert_eq!(status, 200, "{url}: {text}");
            text
        });
        Report(serde_json::from_str(&reply).unwrap())
    }

    pub(crate) fn jobs(&self, name: Name, jobs: &[&str]) {
        for job in jobs {
            self.job(name, job);
        }
    }

    pub(crate) fn report(&self, name: Name) -> Report {
        self.job(name, "report")
    }
}

/// Within [`SLACK`].
#[track_caller]
pub(crate) fn assert_near(what: &str, measured: f64, told: f64) {
    let ratio = measured / told;
    assert!((ratio - 1.0).abs() < SLACK, "{what}: {measured} of {told}");
}

/// At once, each on a thread.
pub(crate) fn side_by_side(works: &[&(dyn Fn() + Sync)]) {
    std::thread::scope(|scope| {
        for work in works {
            scope.spawn(work);
        }
    });
}
