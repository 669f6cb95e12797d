//! What everybody may know of the events: one file a day, without names, and an index.
//!
//! Written from the history once a day is over, and again while late events change it. What of an
//! event is public is decided in [`public`] alone.

mod index;
mod public;

use crate::ask::Asker;
use crate::config::ArchiveConfig;
use anyhow::Context as _;
use index::{Entry, Index};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use public::Public;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use store::Value;
use tempfile::NamedTempFile;

/// Events of a day that is just over may still be on their way.
const GRACE: SignedDuration = SignedDuration::from_mins(10);
/// Days that are written again when late events come.
const WATCHED_DAYS: i64 = 8;

/// Minutes of a day and what may be said, in the order of the minutes.
const EVENTS_OF_DAY: &str = "select \"at\", kind, schema, schema_version, detail from events \
     where hub = $hub and \"at\" >= $from and \"at\" < $to order by \"at\"";
const COUNTS: &str = "select date_trunc('day', \"at\") as day, kind, count(*) as n from events \
     where hub = $hub and \"at\" >= $from and \"at\" < $to group by 1, 2";

/// An archive of a hub's events.
pub struct Archive {
    folder: PathBuf,
    hub: String,
    public: Public,
    /// All days up to here are known to be as they should, but for those that are watched.
    settled: Option<Date>,
}

impl Archive {
    /// The one that is configured, if any.
    pub fn of(config: &ArchiveConfig, hub: &str) -> Option<Self> {
        Some(Self {
            folder: config.path.clone()?,
            hub: hub.to_owned(),
            public: Public::new(config),
            settled: None,
        })
    }

    /// Writes the days that are missing or have grown; gives how many.
    pub async fn round(&mut self, asker: &Asker, now: Timestamp) -> anyhow::Result<usize> {
        let today = day_of(now.saturating_sub(GRACE).unwrap_or(now));
        let watched = today.saturating_sub(WATCHED_DAYS.days());
        let from = self
            .settled
            .map_or(Date::MIN, |settled| settled.min(watched));
        let counts = self
            .counts(asker, from.max(Date::constant(1970, 1, 1)), today)
            .await?;
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make `{}`", self.folder.display()))?;
        let mut index = Index::read(&self.folder)?;
        let mut n_written = 0;
        for (day, count) in counts {
            let name = file_name(day);
            let is_there = self.folder.join(&name).is_file();
            // Retention makes days smaller; what was public stays.
            let is_right = index
                .count(day)
                .is_some_and(|known| known >= count || day < watched);
            if is_right && is_there {
                continue;
            }
            let count = self.write(asker, day).await?;
            index.set(Entry {
                name,
                date: day,
                count,
            });
            n_written += 1;
        }
        if n_written > 0 {
            index.write(&self.folder)?;
        }
        self.settled = Some(today);
        Ok(n_written)
    }

    /// Public events by day.
    async fn counts(
        &self,
        asker: &Asker,
        from: Date,
        to: Date,
    ) -> anyhow::Result<BTreeMap<Date, u64>> {
        let mut counts = BTreeMap::new();
        let count = |row: Json| {
            let day: Option<Timestamp> = row["day"].as_str().and_then(|day| day.parse().ok());
            let kind = row["kind"].as_str().unwrap_or_default();
            if let Some(day) = day.filter(|_| self.public.is_public(kind)) {
                let day = day.to_zoned(TimeZone::UTC).date();
                *counts.entry(day).or_default() += row["n"].as_u64().unwrap_or_default();
            }
            Ok(())
        };
        asker.each(COUNTS, &self.params(from, to)?, count).await?;
        Ok(counts)
    }

    /// Writes one day; gives how many lines it has.
    async fn write(&self, asker: &Asker, day: Date) -> anyhow::Result<u64> {
        let cannot = || format!("cannot write the archive in `{}`", self.folder.display());
        let mut file = BufWriter::new(new_file(&self.folder).with_context(cannot)?);
        let mut minute = Minute::default();
        let mut count = 0;
        let write = |row: Json| {
            let Some(line) = self.public.line(&row) else {
                return Ok(());
            };
            count += 1;
            if line.minute != minute.at {
                minute.write(&mut file)?;
                minute.at = line.minute;
            }
            minute.lines.push(line.text);
            Ok(())
        };
        let params = self.params(day, day.tomorrow()?)?;
        asker.each(EVENTS_OF_DAY, &params, write).await?;
        minute.write(&mut file).with_context(cannot)?;
        let file = file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        let (file, folder) = (file.with_context(cannot)?, self.folder.clone());
        // A slow disk must not hold up those who serve requests.
        let keeping = tokio::task::spawn_blocking(move || keep(file, &folder, &file_name(day)));
        keeping.await?.with_context(cannot)?;
        Ok(count)
    }

    fn params(&self, from: Date, to: Date) -> anyhow::Result<[(&'static str, Value); 3]> {
        let begin = |day: Date| Ok::<_, jiff::Error>(day.to_zoned(TimeZone::UTC)?.timestamp());
        Ok([
            ("hub", Value::Text(self.hub.clone())),
            ("from", Value::Time(begin(from)?)),
            ("to", Value::Time(begin(to)?)),
        ])
    }
}

/// Lines of one minute, sorted before they are written: their order tells nothing.
#[derive(Default)]
struct Minute {
    at: String,
    lines: Vec<String>,
}

impl Minute {
    fn write(&mut self, output: &mut impl std::io::Write) -> std::io::Result<()> {
        self.lines.sort_unstable();
        for line in self.lines.drain(..) {
            writeln!(output, "{line}")?;
        }
        Ok(())
    }
}

fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

fn file_name(day: Date) -> String {
    format!("events-{day}.jsonl")
}

/// A file that everybody may read once it has its name.
fn new_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".events-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
}

/// Gives a file its name once all of it is on the disk: nobody sees half of one.
fn keep(file: NamedTempFile, folder: &Path, name: &str) -> std::io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(folder.join(name))?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
