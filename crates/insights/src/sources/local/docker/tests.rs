//! A small server on a socket, with the replies that Docker's reference publishes.

use super::*;
use axum::Router;
use axum::http::{StatusCode as Status, Uri};
use std::sync::{Arc, Mutex};
use tokio::net::UnixListener;

const ADA: &str = "8dfafdbc3a402a3b513bc9d639eee123ad78ca3616b921167cd74b20e25ed39a";
const LAB: &str = "9cd87474be900e4ad7a362f9253545fecdfa8ce9a6e37dd10ba8bee71298127e";
const OTHER: &str = "ba033ac4401106a3b513bc9d639eee123ad78ca3616b921167cd74b20e25ed39";

#[derive(Default)]
struct Replies {
    by_path: HashMap<String, (u16, String)>,
    asked: Vec<String>,
}

struct Daemon {
    folder: tempfile::TempDir,
    replies: Arc<Mutex<Replies>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/local/docker");
    std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap()
}

fn stats_path(id: &str) -> String {
    format!("/containers/{id}/stats?stream=false&one-shot=true")
}

impl Daemon {
    fn start() -> Self {
        // The client wants one, also where it speaks plainly.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let replies: Arc<Mutex<Replies>> = Arc::default();
        let shared = Arc::clone(&replies);
        let answer = move |uri: Uri| {
            let mut replies = shared.lock().unwrap();
            replies.asked.push(uri.to_string());
            let reply = replies.by_path.get(&uri.to_string()).cloned();
            let (status, text) = reply.unwrap_or_else(|| {
                (
                    404,
                    r#"{"message": "No such container: c2ada9df5af8"}"#.to_owned(),
                )
            });
            std::future::ready((Status::from_u16(status).unwrap(), text))
        };
        let router: Router = Router::new().fallback(answer);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let daemon = Self {
            folder,
            replies,
            server,
        };
        daemon.set("/containers/json", &fixture("containers"));
        for (id, name) in [
            (ADA, "inspect-ada"),
            (LAB, "inspect-ada-lab"),
            (OTHER, "inspect-other"),
        ] {
            daemon.set(&format!("/containers/{id}/json"), &fixture(name));
        }
        daemon.set(&stats_path(ADA), &fixture("stats-v1"));
        daemon.set(&stats_path(LAB), &fixture("stats-v2"));
        daemon
    }

    fn set(&self, path: &str, text: &str) {
        let mut replies = self.replies.lock().unwrap();
        replies
            .by_path
            .insert(path.to_owned(), (200, text.to_owned()));
    }

    fn fail(&self, path: &str, status: u16, text: &str) {
        let mut replies = self.replies.lock().unwrap();
        replies
            .by_path
            .insert(path.to_owned(), (status, text.to_owned()));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.replies.lock().unwrap().asked)
    }

    fn docker(&self) -> Docker {
        Docker::new(self.folder.path(), &self.folder.path().join("docker.sock"))
    }
}

fn uses(seen: &Seen) -> Vec<(&str, Use)> {
    let uses = seen.uses.iter().map(|(charge, used)| match charge {
        Charge::Account(account) => (account.server.as_deref().unwrap(), *used),
        Charge::Nobody(reason) => (*reason, *used),
    });
    uses.collect()
}

#[tokio::test]
async fn containers_of_both_versions_of_control_groups_are_read() {
    let daemon = Daemon::start();
    let mut docker = daemon.docker();
    let seen = docker.look(None).await.unwrap();
    let [("", ada), ("lab", lab)] = uses(&seen)[..] else {
        panic!("{seen:?}");
    };
    let expected = Amounts {
        memory_bytes: Some(7_585_792.0 - 524_288.0),
        cpu_requested_cores: Some(1.5),
        memory_requested_bytes: Some(1_073_741_824.0),
        memory_limit_bytes: Some(1_073_741_824.0),
        gpus_requested: Some(2.0),
        ..Amounts::default()
    };
    assert_eq!(ada.amounts, expected);
    let expected = Amounts {
        memory_bytes: Some(9_199_616.0 - 2_510_848.0),
        cpu_requested_cores: Some(0.5),
        gpus_requested: Some(0.0),
        ..Amounts::default()
    };
    assert_eq!(lab.amounts, expected);
    assert_eq!(
        (ada.cpu_seconds, ada.rx_bytes),
        (None, None),
        "the first look"
    );
    daemon.asked();

    let later = fixture("stats-v1")
        .replace("100215355", "2100215355")
        .replace("5338", "6338");
    daemon.set(&stats_path(ADA), &later);
    let seen = docker.look(None).await.unwrap();
    let [("", ada), ("lab", lab)] = uses(&seen)[..] else {
        panic!("{seen:?}");
    };
    assert_eq!((ada.rx_bytes, ada.tx_bytes), (Some(1000.0), Some(0.0)));
    assert!((ada.cpu_seconds.unwrap() - 2.0).abs() < 1e-9);
    assert_eq!(
        (lab.cpu_seconds, lab.rx_bytes),
        (Some(0.0), None),
        "it has the host's network"
    );
    // What a container was started as is asked once.
    assert_eq!(
        daemon.asked(),
        ["/containers/json", &stats_path(ADA), &stats_path(LAB)]
    );
}

#[tokio::test]
async fn a_container_that_vanishes_or_fails_is_no_error() {
    let daemon = Daemon::start();
    let mut docker = daemon.docker();
    docker.look(None).await.unwrap();
    daemon.fail(&stats_path(ADA), 500, r#"{"message": "cannot read"}"#);
    daemon.fail(&stats_path(LAB), 404, "{}");
    let seen = docker.look(None).await.unwrap();
    assert!(
        uses(&seen)
            .iter()
            .all(|(_, used)| used.cpu_seconds.is_none())
    );
    // It goes on from where it was.
    let later = fixture("stats-v1").replace("100215355", "3100215355");
    daemon.set(&stats_path(ADA), &later);
    daemon.set("/containers/json", &format!(r#"[{{"Id": "{ADA}"}}]"#));
    let seen = docker.look(None).await.unwrap();
    assert!((uses(&seen)[0].1.cpu_seconds.unwrap() - 3.0).abs() < 1e-9);
    assert_eq!(docker.known.len(), 1);
}

#[tokio::test]
async fn gpus_are_known_by_the_control_groups_of_processes() {
    let daemon = Daemon::start();
    let proc = daemon.folder.path().join("proc/7391");
    std::fs::create_dir_all(&proc).unwrap();
    let group = format!("0::/system.slice/docker-{LAB}.scope\n");
    std::fs::write(proc.join("cgroup"), group).unwrap();
    let gpus = GpuUse::of(&[(7391, Some(0.5)), (7392, Some(0.25))]);
    let seen = daemon.docker().look(Some(&gpus)).await.unwrap();
    let used: Vec<_> = uses(&seen)
        .iter()
        .map(|(_, used)| used.amounts.gpus_used)
        .collect();
    assert_eq!(used, [Some(0.0), Some(0.5)]);
}

#[tokio::test]
async fn what_else_answers_there_is_told() {
    let daemon = Daemon::start();
    let path = "/containers/json";
    daemon.fail(path, 500, r#"{"message": "out of order"}"#);
    let error = daemon.docker().look(None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Docker answered `containers/json` with status 500: Internal Server Error"
    );
    daemon.set(path, "<html>");
    let error = daemon.docker().look(None).await.unwrap_err();
    assert_eq!(error.kind(), "malformed");
    let mut nowhere = Docker::new(Path::new("/"), &daemon.folder.path().join("none.sock"));
    let error = nowhere.look(None).await.unwrap_err();
    assert_eq!(error.kind(), "unreachable");
    assert!(error.to_string().contains("none.sock`"), "{error}");
}
