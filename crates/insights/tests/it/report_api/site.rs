//! The service that all tests of reports ask, and what it answers.

use crate::support::{Service, SimServer, block_on, fill_by_demo, http, until};
use insights::sim::DEMO_TOKEN;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, IF_NONE_MATCH};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// The report of a site that the docs show.
fn images() -> &'static str {
    let docs = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reports.md"
    ));
    let (_, shown) = docs.split_once("```sql\n").unwrap();
    shown.split_once("```").unwrap().0
}

pub(super) const ADMIN: &str = "admin-of-all";
pub(super) const PLAIN: &str = "somebody";
/// Of `ada`, who runs a server.
pub(super) const USER: &str = "user-of-one";
pub(super) const WRITER: &str = "writer-token-0000000000000000";
/// Full days of the demo's history.
pub(super) const N_DAYS: i64 = 62;

/// A service that keeps a hub of one user, beside the history of a demo.
pub(super) struct Site {
    pub(super) service: Service,
    pub(super) folder: tempfile::TempDir,
    _hub: SimServer,
}

/// What the service answered.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
}

impl Reply {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.bytes).unwrap()
    }

    #[track_caller]
    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

static SITE: Mutex<Option<Arc<Site>>> = Mutex::new(None);

/// The service that all tests ask; filling it takes longer than asking.
pub(super) fn site() -> Arc<Site> {
    let mut site = SITE.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(site.get_or_insert_with(|| Arc::new(Site::start())))
}

/// At the end of the run; statics are never dropped.
pub(crate) fn stop_servers() {
    *SITE.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

impl Site {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let n_days = N_DAYS.to_string();
        let shape = ["--users", "30", "--groups", "4", "--days", &n_days];
        fill_by_demo(folder.path(), &shape);
        let own = folder.path().join("reports");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("images.sql"), images()).unwrap();
        std::fs::write(own.join("broken.sql"), images().replace("image,", "imago,")).unwrap();
        let hub = SimServer::start(|world| {
            let now = insights::poll::clock::now();
            world.set_now(now);
            world.add_token(ADMIN, "boss", &["admin:users"]);
            world.add_token(PLAIN, "tool", &["list:users", "read:groups", "list:groups"]);
            world.add_user("ada");
            world.add_user_token(USER, "ada", &["access:services"]);
            world.add_group("physics");
            world.add_member("physics", "ada");
            world.start_server("ada", "", now);
        });
        let settings = [
            "store.keep=always".to_owned(),
            "hub.name=lab".to_owned(),
            "hub.timezone=Europe/Berlin".to_owned(),
            format!("store.path={}", folder.path().join("store").display()),
            format!("events.token={WRITER}"),
            format!("reports.folder={}", own.display()),
        ];
        let words = settings.iter().flat_map(|setting| ["--set", setting]);
        let service = Service::start(&hub.url, DEMO_TOKEN, &words.collect::<Vec<_>>());
        let site = Self {
            service,
            folder,
            _hub: hub,
        };
        // The hub was read when its user's server is known.
        let is_read = until("the hub to be read", || {
            let rows = site.get("reports/sessions?hub=lab&from=yesterday");
            (rows.status == 200 && rows.json()["rows"][0]["user"] == "ada").then_some(())
        });
        assert!(is_read.is_some(), "{}", site.service.process.output());
        site
    }

    pub(super) fn url(&self, below: &str) -> Url {
        let url = format!("{}api/v1/{below}", self.service.url);
        url.parse().unwrap()
    }

    pub(super) fn get(&self, below: &str) -> Reply {
        self.get_with(below, Some(ADMIN), None)
    }

    pub(super) fn get_with(&self, below: &str, token: Option<&str>, tag: Option<&str>) -> Reply {
        let mut request = http().get(self.url(below));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        reply(request)
    }

    /// Somebody logs in then, and it is on the disk.
    pub(super) fn post_login(&self, at: Timestamp) {
        let event = json!({"kind": "login", "at": at, "user": "ada", "source": "door"});
        let request = http().post(self.url("events")).bearer_auth(WRITER);
        let reply = reply(request.body(event.to_string()));
        assert_eq!(reply.json()["accepted"], 1);
    }

    pub(super) fn names(&self) -> Vec<String> {
        let list = self.get("reports").json();
        let names = list["reports"].as_array().unwrap().iter();
        names
            .map(|report| report["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(super) fn reply(request: reqwest::RequestBuilder) -> Reply {
    block_on(async {
        // However busy the machine is.
        let request = request.timeout(Duration::from_mins(5));
        let response = request.send().await.unwrap();
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            bytes: response.bytes().await.unwrap().to_vec(),
        }
    })
}
