//! What the simulated hub's hooks send while the demo runs, in the way that real ones do.

use crate::sim::history::Item;
use anyhow::Context as _;

/// With which it is sent.
pub(super) const TOKEN: &str = "demo-events";

/// Sends to the service of the demo.
pub(super) struct Hooks {
    http: reqwest::Client,
    url: String,
    /// What did not arrive yet.
    waiting: Vec<Item>,
}

impl Hooks {
    /// To the service on this port.
    pub(super) fn to(port: u16) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build();
        Ok(Self {
            http: http.context("no client for the hub's events")?,
            url: format!("http://127.0.0.1:{port}/services/insights/api/v1/events"),
            waiting: Vec::new(),
        })
    }

    /// Something happened.
    pub(super) fn tell(&mut self, items: impl IntoIterator<Item = Item>) {
        self.waiting.extend(items);
    }

    /// Sends what waits; it waits on if the service does not take it.
    pub(super) async fn send(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let lines = self.waiting.iter();
        let lines = lines.filter_map(|item| serde_json::to_string(item).ok());
        let body = lines.fold(String::new(), |body, line| body + &line + "\n");
        let request = self.http.post(&self.url).bearer_auth(TOKEN).body(body);
        match request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
        {
            Ok(_) => self.waiting.clear(),
            Err(error) => tracing::warn!("Events of the simulated hub have to wait: {error}"),
        }
    }
}
