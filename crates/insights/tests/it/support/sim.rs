//! The simulated hub on a port, and a way to spoil its replies.

use super::block_on;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use insights::sim::{DEMO_TOKEN, SimHub, World};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, RwLock};

/// What happens to a request before or instead of the simulated hub's answer.
pub(crate) type Spoiler =
    Arc<dyn Fn(Request, Next) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// A simulated hub that listens.
pub(crate) struct SimServer {
    pub(crate) hub: SimHub,
    /// Ends in a slash.
    pub(crate) url: String,
    spoiler: Arc<RwLock<Option<Spoiler>>>,
    task: tokio::task::JoinHandle<()>,
}

impl SimServer {
    /// A hub with the world that `make` fills; `DEMO_TOKEN` may read it.
    pub(crate) fn start(make: impl FnOnce(&mut World)) -> Self {
        Self::start_on(0, make)
    }

    /// The same on a port of the test's choice.
    pub(crate) fn start_on(port: u16, make: impl FnOnce(&mut World)) -> Self {
        let mut world = World::empty();
        world.add_token(DEMO_TOKEN, "insights", &insights::hub::ROLE_SCOPES);
        make(&mut world);
        let hub = SimHub::new(world, "/");
        let spoiler: Arc<RwLock<Option<Spoiler>>> = Arc::default();
        let spoils = Arc::clone(&spoiler);
        let router = hub
            .router()
            .layer(from_fn(move |request: Request, next: Next| {
                let spoiler = spoils.read().unwrap().clone();
                async move {
                    match spoiler {
                        Some(spoil) => spoil(request, next).await,
                        None => next.run(request).await,
                    }
                }
            }));
        let (url, task) = block_on(async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
                .await
                .unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let serve = async move { axum::serve(listener, router).await.unwrap() };
            (url, tokio::spawn(serve))
        });
        Self {
            hub,
            url,
            spoiler,
            task,
        }
    }

    /// From now on replies are spoiled so.
    pub(crate) fn spoil(&self, spoiler: Spoiler) {
        *self.spoiler.write().unwrap() = Some(spoiler);
    }

    /// From now on replies are the simulated hub's own.
    pub(crate) fn stop_spoiling(&self) {
        *self.spoiler.write().unwrap() = None;
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
