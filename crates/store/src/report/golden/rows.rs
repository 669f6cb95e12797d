//! The rows that a line of a tiny history stands for.

use super::past::Past;
use super::words::Words;
use crate::running::by_hour;
use crate::tables;
use jiff::{SignedDuration, Timestamp};
use model::fact::ActiveHour;
use std::collections::BTreeMap;
use std::sync::Arc;

fn server(name: &str) -> Arc<str> {
    if name == "-" { "".into() } else { name.into() }
}

impl Past {
    pub(super) fn watch(&mut self, from: Timestamp, to: Timestamp) {
        let mut at = from;
        while at < to {
            let id = self.id();
            self.observations.push(tables::Observation {
                id,
                hub: self.hub.clone(),
                at,
                name: "api_active_servers".into(),
                labels: "{}".into(),
                value: 0.0,
                min: Some(0.0),
                max: Some(0.0),
                last: Some(0.0),
                n: Some(60),
            });
            at += SignedDuration::from_hours(1);
        }
    }

    pub(super) fn account(
        &mut self,
        user: &str,
        at: Timestamp,
        before: Option<Timestamp>,
        kind: &str,
    ) {
        let id = self.id();
        self.events.push(tables::Event {
            id,
            hub: self.hub.clone(),
            at,
            not_before: before,
            kind: kind.into(),
            user: Some(user.into()),
            server: None,
            detail: None,
            source: "poll".into(),
            schema: None,
            schema_version: None,
        });
    }

    pub(super) fn member(&mut self, user: &str, group: &str, at: &str, change: &str) {
        let (id, at) = (self.id(), self.at(at));
        self.memberships.push(tables::Membership {
            id,
            hub: self.hub.clone(),
            user: user.into(),
            group: group.into(),
            at,
            not_before: None,
            change: change.into(),
            reason: None,
        });
    }

    pub(super) fn session(
        &mut self,
        user: &str,
        name: &str,
        started: &str,
        ended: Option<&str>,
        words: &Words<'_>,
    ) -> tables::Session {
        let id = self.id();
        let (started, now) = (self.at(started), self.now.unwrap());
        let seen = words.named.get("seen").map_or(now, |seen| self.at(seen));
        let ended = ended.map_or(seen, |ended| self.at(ended));
        let hours = words
            .named
            .get("active")
            .map(|text| self.active_hours(text, started));
        let seconds = hours.map(|hours| hours.iter().map(|hour| i64::from(hour.seconds)).sum());
        tables::Session {
            id,
            revision: 1,
            hub: self.hub.clone(),
            user: user.into(),
            server: server(name),
            started,
            ended,
            last_seen: ended,
            end_reason: words
                .named
                .get("end")
                .map_or("stopped", |end| end)
                .replace('_', " ")
                .into(),
            active_seconds: seconds,
            options: words.named.get("options").map(|options| (*options).into()),
            image: words.named.get("image").map(|image| (*image).into()),
            withdrawn: false,
        }
    }

    /// `600`, of the hour of the start, or `600@2026-03-01T22:00+300@2026-03-02T01:00`.
    pub(super) fn active_hours(&self, text: &str, started: Timestamp) -> Vec<ActiveHour> {
        let hours = text.split('+').map(|part| {
            let (seconds, hour) = match part.split_once('@') {
                Some((seconds, hour)) => (seconds, self.at(hour)),
                None => (part, model::days::hour_start(started, &self.zone)),
            };
            ActiveHour {
                hour,
                seconds: seconds.parse().unwrap(),
            }
        });
        hours.collect()
    }

    pub(super) fn activity(&mut self, index: usize, is_running: bool, words: &Words<'_>) {
        let Some(text) = words.named.get("active") else {
            return;
        };
        let list = if is_running {
            &self.running
        } else {
            &self.sessions
        };
        let session = list[index].clone();
        let hours = self.active_hours(text, session.started);
        if is_running {
            self.running_by_hour[index] = by_hour(&hours);
            self.active.push((index, is_running, hours));
            return;
        }
        let by_hour: BTreeMap<String, u32> = hours
            .iter()
            .map(|hour| (hour.hour.to_string(), hour.seconds))
            .collect();
        let detail = serde_json::json!({
            "started": session.started.to_string(),
            "active_seconds_by_hour": by_hour,
        });
        let id = self.id();
        self.events.push(tables::Event {
            id,
            hub: self.hub.clone(),
            at: session.ended,
            not_before: None,
            kind: "server-activity".into(),
            user: Some(session.user.clone()),
            server: Some(session.server.clone()),
            detail: Some(detail.to_string().into()),
            source: "poll".into(),
            schema: None,
            schema_version: None,
        });
        self.active.push((index, is_running, hours));
    }

    pub(super) fn use_of(&mut self, hour: &str, user: &str, name: &str, words: &Words<'_>) {
        let (id, hour) = (self.id(), self.at(hour));
        self.usage.push(tables::Usage {
            id,
            revision: 1,
            hub: self.hub.clone(),
            hour,
            user: user.into(),
            server: (name != "?").then(|| server(name)),
            cpu_core_seconds: words.number("cpu"),
            memory_byte_seconds: words.number("memory"),
            cpu_requested_core_seconds: words.number("cpu_requested"),
            memory_requested_byte_seconds: words.number("memory_requested"),
            gpu_requested_seconds: words.number("gpu_requested"),
            gpu_used_seconds: words.number("gpu_used"),
            network_rx_bytes: words.number("rx"),
            network_tx_bytes: words.number("tx"),
            memory_peak_bytes: words.number("peak"),
            samples: words
                .named
                .get("samples")
                .map_or(60, |n| n.parse().unwrap()),
        });
    }

    pub(super) fn home(&mut self, day: &str, user: &str, bytes: &str, files: Option<&str>) {
        let id = self.id();
        self.storage.push(tables::Storage {
            id,
            revision: 1,
            hub: self.hub.clone(),
            day: day.parse().unwrap(),
            user: user.into(),
            home_bytes: bytes.parse().unwrap(),
            files: files.map(|files| files.parse().unwrap()),
        });
    }

    pub(super) fn event(
        &mut self,
        at: &str,
        kind: &str,
        user: &str,
        name: &str,
        words: &Words<'_>,
    ) {
        let (id, at) = (self.id(), self.at(at));
        let before = words.named.get("not_before").map(|before| self.at(before));
        self.events.push(tables::Event {
            id,
            hub: self.hub.clone(),
            at,
            not_before: before,
            kind: kind.into(),
            user: (user != "?").then(|| user.into()),
            server: (name != "?").then(|| server(name)),
            detail: words.json.map(Into::into),
            source: words
                .named
                .get("source")
                .map_or("hooks", |source| source)
                .into(),
            schema: None,
            schema_version: None,
        });
    }

    pub(super) fn reading(&mut self, at: &str, name: &str, values: &[&str], words: &Words<'_>) {
        let (id, at) = (self.id(), self.at(at));
        let values: Vec<f64> = values.iter().map(|value| value.parse().unwrap()).collect();
        let value = |index: usize| values.get(index).copied();
        #[expect(clippy::cast_possible_truncation, reason = "a small count")]
        let n = value(4).map(|n| n as i64);
        self.observations.push(tables::Observation {
            id,
            hub: self.hub.clone(),
            at,
            name: name.into(),
            labels: words.json.unwrap_or("{}").into(),
            value: values[0],
            min: value(1),
            max: value(2),
            last: value(3),
            n,
        });
    }
}
