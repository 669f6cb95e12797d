//! Pods that vanish: a real Prometheus marks their series as stale when it scrapes the target anew,
//! or cannot, and does not tell their last values for five minutes more.

use super::month::NAMESPACE;
use super::present::source;
use crate::support::{Prometheus, ScrapeJob, block_on, until};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::routing::get;
use insights::sources::Known;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Far less than the five minutes for which a value without a mark is told.
const AT_ONCE: Duration = Duration::from_secs(30);

/// A look drops a pod that its exporters do not tell of any more, and all when they are gone.
pub(super) fn a_pod_that_vanished() {
    let exporter = Exporter::start(page(&["ada", "bob"]));
    let job = ScrapeJob::new("kubernetes-pods", exporter.url.clone());
    let prometheus = Prometheus::start(&[job]);
    until_seen(&prometheus, &["ada", "bob"]);
    let changed = Instant::now();
    exporter.tell(page(&["ada"]));
    until_seen(&prometheus, &["ada"]);
    assert!(changed.elapsed() < AT_ONCE, "{:?}", changed.elapsed());
    let stopped = Instant::now();
    exporter.stop();
    until_seen(&prometheus, &[]);
    assert!(stopped.elapsed() < AT_ONCE, "{:?}", stopped.elapsed());
}

/// Waits until a look sees the servers of exactly these users, and nothing of anybody else.
#[track_caller]
fn until_seen(prometheus: &Prometheus, users: &[&str]) {
    let known = Known {
        users: Some(["ada", "bob"].map(Into::into).into()),
        spawner: None,
    };
    let source = Mutex::new(source(&prometheus.url));
    // A look's queries may fall before and after a scrape, so that the first that sees it sees half.
    let seen = until("pods", || {
        let look = block_on(source.lock().unwrap().look(&known)).unwrap();
        let seen = look.servers.iter();
        let names = seen.map(|server| server.account.user.as_str());
        let is_whole = look.servers.iter().all(|server| {
            server.amounts.memory_bytes == Some(5e8)
                && server.amounts.cpu_requested_cores == Some(0.5)
        });
        let is_so = names.eq(users.iter().copied()) && is_whole;
        (is_so && look.unattributed.is_empty()).then_some(())
    });
    assert!(seen.is_some(), "{}", prometheus.targets());
}

/// What cAdvisor and kube-state-metrics say of a server of each of these users.
fn page(users: &[&str]) -> String {
    let mut page = String::new();
    for user in users {
        let pod = format!("namespace=\"{NAMESPACE}\",pod=\"jupyter-{user}\"");
        let container = format!("{pod},container=\"notebook\"");
        for (name, labels, value) in [
            (
                "container_memory_working_set_bytes",
                format!("{container},id=\"/kubepods/{user}\",name=\"{user}\""),
                "5e8",
            ),
            (
                "kube_pod_annotations",
                format!("{pod},annotation_hub_jupyter_org_username=\"{user}\""),
                "1",
            ),
            (
                "kube_pod_labels",
                format!("{pod},label_component=\"singleuser-server\""),
                "1",
            ),
            (
                "kube_pod_status_phase",
                format!("{pod},phase=\"Running\""),
                "1",
            ),
            (
                "kube_pod_container_resource_requests",
                format!("{container},node=\"node-1\",resource=\"cpu\",unit=\"core\""),
                "0.5",
            ),
        ] {
            let _ = writeln!(page, "{name}{{{labels}}} {value}");
        }
    }
    page
}

/// An exporter whose text changes, and which can go away.
struct Exporter {
    url: String,
    page: Arc<RwLock<String>>,
    stop: oneshot::Sender<()>,
}

impl Exporter {
    fn start(page: String) -> Self {
        let page = Arc::new(RwLock::new(page));
        let router = Router::new()
            .route("/metrics", get(answer))
            .with_state(Arc::clone(&page));
        let (stop, stopped) = oneshot::channel();
        let url = block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/metrics", listener.local_addr().unwrap());
            let serve = axum::serve(listener, router).with_graceful_shutdown(async {
                let _ = stopped.await;
            });
            tokio::spawn(serve.into_future());
            url
        });
        Self { url, page, stop }
    }

    fn tell(&self, page: String) {
        *self.page.write().unwrap() = page;
    }

    /// Closes its port and all connections.
    fn stop(self) {
        let _ = self.stop.send(());
    }
}

async fn answer(
    State(page): State<Arc<RwLock<String>>>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    let text = page.read().unwrap().clone();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
