//! The simulated hub as a whole: the world behind a lock, its address, what was asked of it.

use super::handlers;
use super::oauth::{Logins, ServiceClient};
use super::replies::Addresses;
use super::world::World;
use axum::Router;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Requests that are remembered; enough for a test, and no leak in a demo of days.
const MAX_LOG_LINES: usize = 1000;

/// A hub over a [`World`] that may change while it is served. Clones are the same hub.
#[derive(Clone, Debug)]
pub struct SimHub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: RwLock<World>,
    addresses: Addresses,
    n_requests: AtomicU64,
    log: Mutex<VecDeque<String>>,
    logins: Mutex<Logins>,
}

impl SimHub {
    /// `base_url` is where the hub is mounted, `/` or for instance `/jupyter/`.
    pub fn new(world: World, base_url: &str) -> Self {
        let base_url = match base_url.trim_matches('/') {
            "" => "/".to_owned(),
            path => format!("/{path}/"),
        };
        Self {
            shared: Arc::new(Shared {
                world: RwLock::new(world),
                addresses: Addresses { base_url },
                n_requests: AtomicU64::new(0),
                log: Mutex::new(VecDeque::new()),
                logins: Mutex::default(),
            }),
        }
    }

    /// The hub's part of the web: everything below `{base_url}hub/`.
    pub fn router(&self) -> Router {
        handlers::routes(self)
    }

    /// The world, to be read. Not to be held over an `.await`.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        self.shared
            .world
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, to be changed. Not to be held over an `.await`.
    pub fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        self.shared
            .world
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on people can log in to this service, in place of one with the same id.
    pub fn register(&self, client: ServiceClient) {
        self.logins().register(client);
    }

    pub(super) fn logins(&self) -> MutexGuard<'_, Logins> {
        let logins = &self.shared.logins;
        logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests since the start, refused ones included.
    pub fn n_requests(&self) -> u64 {
        self.shared.n_requests.load(Ordering::Relaxed)
    }

    /// The last requests, oldest first, each as `GET /hub/api/groups?limit=200`.
    pub fn requests(&self) -> Vec<String> {
        let log = self
            .shared
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        log.iter().cloned().collect()
    }

    pub(super) fn note_request(&self, line: String) {
        self.shared.n_requests.fetch_add(1, Ordering::Relaxed);
        let mut log = self
            .shared
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if log.len() == MAX_LOG_LINES {
            log.pop_front();
        }
        log.push_back(line);
    }

    pub(super) fn addresses(&self) -> &Addresses {
        &self.shared.addresses
    }
}
