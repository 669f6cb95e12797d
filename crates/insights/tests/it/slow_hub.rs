//! A hub that takes longer to answer than the service waits between two polls.

use crate::support::{Service, SimServer, sql, until};
use axum::extract::Request;
use axum::middleware::Next;
use insights::sim::DEMO_TOKEN;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[(
    "a_poll_that_takes_longer_than_its_interval_overlaps_no_other_and_repeats_no_fact",
    slow_polls,
)];

/// Longer than the interval of a second.
const SLOW: Duration = Duration::from_millis(1050);

#[derive(Default)]
struct Requests {
    open: AtomicUsize,
    most_open: AtomicUsize,
    lists_of_servers: AtomicUsize,
}

fn slow_polls() {
    let sim = SimServer::start(|world| {
        world.set_now(insights::poll::clock::now());
        world.add_user("ada");
        world.add_group("art");
        world.add_member("art", "ada");
        world.start_server("ada", "", insights::poll::clock::now());
    });
    let requests: Arc<Requests> = Arc::default();
    let counted = Arc::clone(&requests);
    sim.spoil(Arc::new(move |request: Request, next: Next| {
        let requests = Arc::clone(&counted);
        Box::pin(async move {
            let open = requests.open.fetch_add(1, Ordering::SeqCst) + 1;
            requests.most_open.fetch_max(open, Ordering::SeqCst);
            let query = request.uri().query().unwrap_or_default();
            if query.contains("state=active") {
                requests.lists_of_servers.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(SLOW).await;
            }
            let response = next.run(request).await;
            requests.open.fetch_sub(1, Ordering::SeqCst);
            response
        })
    }));
    let folder = tempfile::tempdir().unwrap();
    let path = format!("store.path={}", folder.path().display());
    let settings = ["--set", &path, "--set", "store.keep=always"];
    let service = Service::start(&sim.url, DEMO_TOKEN, &settings);
    let n_of = |kind: &str| {
        let query = format!("select count(*) from events where kind = '{kind}'");
        sql(folder.path(), &query).rows()
    };
    let seen = until("the server is seen", || {
        (n_of("server-seen") == ["1"]).then_some(())
    });
    seen.unwrap_or_else(|| panic!("{}", service.process.output()));
    sim.hub.world_mut().stop_server("ada", "");
    let gone = until("the server is gone", || {
        (n_of("server-gone") == ["1"]).then_some(())
    });
    gone.unwrap_or_else(|| panic!("{}", service.process.output()));
    assert!(requests.lists_of_servers.load(Ordering::SeqCst) >= 2);
    assert_eq!(
        requests.most_open.load(Ordering::SeqCst),
        1,
        "one request at a time"
    );
    drop(service);
    let facts = "select kind, count(*), count(distinct id) from events group by kind order by kind";
    assert_eq!(
        sql(folder.path(), facts).rows(),
        [
            "server-activity,1,1",
            "server-gone,1,1",
            "server-seen,1,1",
            "user-added,1,1"
        ]
    );
    let sessions = "select user, end_reason, ended > started from sessions";
    assert_eq!(sql(folder.path(), sessions).rows(), ["ada,stopped,true"]);
    let members = "select user, \"group\", change from memberships";
    assert_eq!(sql(folder.path(), members).rows(), ["ada,art,joined"]);
}
