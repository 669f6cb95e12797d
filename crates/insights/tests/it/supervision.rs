//! A bug in each of the service's own tasks, and in a request.

use crate::support::{SimServer, block_on, free_port};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use insights::config::{Config, Secret};
use insights::metrics::exposition::{Dialect, Encoding, compose};
use insights::metrics::own::Own;
use insights::poll::clock::now;
use insights::service::tasks::{Ending, OnPanic, Task, Wish, supervise};
use insights::service::{Parent, Service, Starter};
use insights::sim::DEMO_TOKEN;
use insights::web;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tower::ServiceExt as _;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "a_bug_in_each_task_restarts_it_or_ends_the_process",
        each_task,
    ),
    ("a_bug_in_a_request_is_a_500_and_counted", request),
];

fn config(hub_url: &str) -> Config {
    let mut config = Config::default();
    config.hub.url = hub_url.parse().ok();
    config.hub.token = Some(Secret::new(DEMO_TOKEN));
    config.hub.interval_seconds = 1;
    config.web.listen = Some(format!("127.0.0.1:{}", free_port()));
    config.metrics.listen = Some(format!("127.0.0.1:{}", free_port()));
    config
}

/// The task with a bug in its first run.
fn with_bug(task: Task) -> Task {
    let is_first = AtomicBool::new(true);
    let (name, on_panic) = (task.name, task.on_panic);
    Task::new(name, on_panic, move || {
        let is_first = is_first.swap(false, Ordering::SeqCst);
        let run = task.start();
        async move {
            assert!(!is_first, "a bug");
            run.await
        }
    })
}

fn each_task() {
    let sim = SimServer::start(|world| {
        world.add_user("ana");
    });
    let n_tasks = Service::bind(config(&sim.url), Starter::Hub(Parent::now()))
        .unwrap()
        .tasks()
        .len();
    let mut seen = Vec::new();
    for index in 0..n_tasks {
        let service = Service::bind(config(&sim.url), Starter::Hub(Parent::now())).unwrap();
        let (site, stopping) = (service.site().clone(), service.stopping());
        let mut tasks = service.tasks();
        let chosen = tasks.remove(index);
        let (name, on_panic) = (chosen.name, chosen.on_panic);
        tasks.insert(index, with_bug(chosen));
        let watched = Arc::clone(&site.own);
        // Ends the service once the restarted task has shown that it works.
        tasks.push(Task::new("watch", OnPanic::End, move || {
            let own = Arc::clone(&watched);
            async move {
                if on_panic == OnPanic::End {
                    // Else it could be faster than the end that the bug brings.
                    std::future::pending::<()>().await;
                }
                while own.n_panics(name) == 0
                    || own
                        .last_complete(insights::metrics::own::Data::Groups)
                        .is_none()
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(Wish::Stop {
                    reason: "it works again",
                })
            }
        }));
        let grace = Duration::from_secs(2);
        let ending = block_on(supervise(tasks, Arc::clone(&site.own), stopping, grace));
        let expected = match on_panic {
            OnPanic::Restart => Ending::Stopped,
            OnPanic::End => Ending::Panicked,
        };
        assert_eq!(ending, expected, "{name}");
        assert_eq!(site.own.n_panics(name), 1, "{name}");
        assert!(!site.own.is_ready());
        seen.push((name, on_panic));
    }
    // Listeners are what the service is for; everything else is started again.
    let listeners: Vec<&str> = seen
        .iter()
        .filter(|(_, on_panic)| *on_panic == OnPanic::End)
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(listeners, ["web", "metrics"]);
    assert_eq!(seen.len(), 6, "{seen:?}");
}

fn request() {
    let sim = SimServer::start(|_| {});
    let service = Service::bind(config(&sim.url), Starter::Other).unwrap();
    let site = service.site().clone();
    let clumsy = Router::new().route("/clumsy", get(|| async { panic!("a bug") as () }));
    let own = Arc::clone(&site.own);
    let router = web::catching_panics(web::routes(site).merge(clumsy), Arc::clone(&own));
    let ask = |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        block_on(router.clone().oneshot(request)).unwrap().status()
    };
    assert_eq!(own.n_panics("request"), 0);
    assert_eq!(ask("/clumsy"), 500);
    assert_eq!(own.n_panics("request"), 1);
    assert_eq!(ask("/services/insights/health/live"), 200);
    let reply = site_metrics(&own);
    assert!(
        reply.contains("task_panics_total{hub=\"jupyterhub\",task=\"request\"} 1"),
        "{reply}"
    );
}

fn site_metrics(own: &Own) -> String {
    let blocks = own.collect(now());
    let reply = compose(blocks.iter(), Dialect::Text, Encoding::Identity);
    String::from_utf8(reply.chunks.concat()).unwrap()
}
