//! A report, what is asked of it, and the rows as they were at a moment.

use super::answer::Answer;
use super::asked::{Asked, ReportError};
use super::definition::Definition;
use super::run::run;
use crate::Sources;
use crate::query::{Engine, Limits};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::days::Day;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;

/// A question that can be answered.
#[derive(Debug)]
pub struct Question {
    report: Arc<Definition>,
    asked: Asked,
    sources: Sources,
}

/// Equal questions have equal answers: the report, what is asked, and the files that hold rows of
/// the period.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Question {
    pub(crate) fn new(report: Arc<Definition>, asked: Asked, sources: Sources) -> Self {
        Self {
            report,
            asked,
            sources,
        }
    }

    /// The answer.
    pub async fn answer(&self, engine: &Engine, limits: Limits) -> Result<Answer, ReportError> {
        run(engine, &self.sources, &self.report, &self.asked, limits).await
    }

    /// Rows after the period are no part of it: what is collected this minute does not change the key
    /// of last year. A server that runs since the period does, and so does today.
    pub fn key(&self) -> Key {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(&self.report.name);
        add(&self.report.sql);
        add(&format!("{:?}", self.asked));
        for (hub, zone) in self.sources.zones() {
            add(hub);
            add(zone);
            add(&format!(
                "{:?}",
                self.sources.closed(hub).filter(|day| *day < self.asked.to)
            ));
        }
        let ends = self.ends();
        let mut names: Vec<String> = self
            .sources
            .pieces_until(ends.as_microsecond())
            .map(|(table, piece)| format!("{table} {}", piece.name))
            .collect();
        names.sort_unstable();
        for name in &names {
            add(name);
        }
        if ends > self.sources.now() || self.sources.ran_before(ends) {
            // To the minute: figures of what goes on need not be newer.
            add(&(self.sources.now().as_second() / 60).to_string());
        }
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Key(text)
    }

    /// The end of the period in whatever zone it ends last.
    fn ends(&self) -> Timestamp {
        let zones = self.sources.zones().values();
        let ends = zones.map(|zone| {
            let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
            Day::new(self.asked.to).span(&zone).end
        });
        let last = ends.max();
        last.unwrap_or_else(|| Day::new(self.asked.to).span(&TimeZone::UTC).end)
    }
}
