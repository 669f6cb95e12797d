//! What a query sees: history and spool as one, and the present, at one moment.
//!
//! The spool is read before the history: a row that is flushed in between is then in both, and the
//! history's number tells so. The other way round it would be in neither.

use crate::StoreError;
use crate::derive::last_closed;
use crate::flush::{Discord, batch_of_lines};
use crate::history::{DataFile, History, HistoryError, HistoryTable};
use crate::query::{AnswersOfRows, Files, KnownToRun, Part, Piece, RowsFile, Sources};
use crate::recent::{Lookup, Recent};
use crate::running::{self, Present};
use crate::state::spool::{self, Portion, Waiting};
use crate::state::{State, StateError, settings_named};
use crate::tables::{TABLES, TableDef};
use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use jiff::{SignedDuration, Timestamp};
use model::days::Day;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use tokio::sync::Mutex;

/// Settings that hold the time zone of a hub are named after it.
pub(crate) const ZONE: &str = "zone/";

/// Gives out sources; remembers open tables between queries.
pub(crate) struct Reader {
    state: State,
    history: History,
    open: Mutex<HashMap<&'static str, Open>>,
    /// Remembers nothing: makes keys.
    keys: Arc<Recent>,
    answers: Arc<AnswersOfRows>,
    look: Arc<std::sync::Mutex<running::Look>>,
    last: Mutex<Option<Last>>,
}

/// What was given out last, for questions that come together, as the parts of a page do.
struct Last {
    /// Of `state.db`: another one once anybody has written there.
    edition: i64,
    versions: BTreeMap<&'static str, u64>,
    sources: Sources,
}

/// Servers that run become active while nobody writes anything.
const TOGETHER: SignedDuration = SignedDuration::from_secs(2);

struct Open {
    table: HistoryTable,
    part: Part,
    /// Of the part: behind the table's own while that is being read.
    version: u64,
}

/// One moment of `state.db`.
struct Moment {
    edition: i64,
    waiting: Vec<(&'static TableDef, String, Waiting)>,
    zones: BTreeMap<String, String>,
    closed: BTreeMap<String, Day>,
    running: Vec<Present>,
}

impl Reader {
    pub(crate) fn new(state: State, history: History) -> Self {
        Self {
            state,
            history,
            open: Mutex::default(),
            keys: Arc::default(),
            answers: Arc::default(),
            look: Arc::default(),
            last: Mutex::default(),
        }
    }

    /// For what is read from `state.db` alone.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Rows that were moved into the history, which does not hold them.
    pub(crate) async fn missing(&self) -> Result<Vec<Discord>, StoreError> {
        let numbers = self.state.read(moved_by_hub).await?;
        let mut open = self.open.lock().await;
        let mut missing = Vec::new();
        for (def, hub, moved) in numbers {
            self.refresh(&mut open, def).await?;
            let last = match open.get(def.name) {
                Some(open) => open.table.last_of(&hub).await?,
                None => 0,
            };
            if last < moved {
                let table = def.name;
                missing.push(Discord::RowsMissing { table, last, moved });
            }
        }
        Ok(missing)
    }

    /// Everything as it is now.
    pub(crate) async fn sources(&self, now: Timestamp) -> Result<Sources, StoreError> {
        let mut last = self.last.lock().await;
        if let Some(last) = &*last
            && let Some(sources) = self.unchanged(last, now).await?
        {
            return Ok(sources);
        }
        let now_read = self.read(now).await?;
        let sources = now_read.sources.clone();
        *last = Some(now_read);
        Ok(sources)
    }

    /// What was given out a moment ago, if it is the same now.
    async fn unchanged(&self, last: &Last, now: Timestamp) -> Result<Option<Sources>, StoreError> {
        // Of questions that come at once, one may look at the clock before another and come after it.
        let now = now.max(last.sources.now().min(now + TOGETHER));
        let since = now.duration_since(last.sources.now());
        if since < SignedDuration::ZERO || since >= TOGETHER {
            return Ok(None);
        }
        if self.state.read(edition).await? != last.edition {
            return Ok(None);
        }
        let mut open = self.open.lock().await;
        for def in TABLES {
            self.refresh(&mut open, def).await?;
        }
        let is_same = versions(&open) == last.versions;
        Ok(is_same.then(|| last.sources.clone().at(now)))
    }

    async fn read(&self, now: Timestamp) -> Result<Last, StoreError> {
        let look = Arc::clone(&self.look);
        let read = move |connection: &Connection| {
            let mut look = look.lock().unwrap_or_else(PoisonError::into_inner);
            Moment::read(connection, &mut look, now)
        };
        let moment = self.state.read(read).await?;
        let mut sources = Sources::new(now).remembering(Arc::clone(&self.answers));
        for (hub, zone) in &moment.zones {
            sources = sources.with_hub(hub, zone);
        }
        for (hub, day) in &moment.closed {
            sources = sources.with_closed(hub, day.date());
        }
        let mut open = self.open.lock().await;
        for def in TABLES {
            self.refresh(&mut open, def).await?;
            if let Some(open) = open.get(def.name) {
                sources = sources.with_part(open.part.clone());
            }
        }
        for (def, hub, mut waiting) in moment.waiting {
            if let Some(open) = open.get(def.name) {
                let last = open.table.last_of(&hub).await?;
                waiting.rows.retain(|row| row.number > last);
            }
            if !waiting.rows.is_empty() {
                let mut batch = batch_of_lines(def, &waiting.rows)?;
                if let Some(open) = open.get(def.name) {
                    let (recent, table) = (&self.keys, &open.table);
                    let hub = &hub;
                    let lookup = Lookup { recent, hub, table };
                    batch = lookup.new_rows(&waiting.rows, batch).await?;
                }
                let pieces = waiting.rows.iter().map(|row| Piece {
                    name: format!("{hub}/{}", row.number),
                    first: Some(row.at.as_microsecond()),
                });
                let pieces = pieces.collect();
                let table = memory(batch).map_err(|error| HistoryError::rows(def, error))?;
                let part = Part::new(def, Arc::new(table)).made_of(pieces);
                sources = sources.with_part(part.of_hub(&hub));
            }
        }
        let running = running::batch(&moment.running)
            .map_err(StateError::Corrupt)
            .and_then(|batch| {
                memory(batch).map_err(|error| StateError::Corrupt(error.to_string()))
            })?;
        let running_now = moment.running.iter().map(|present| {
            let (hub, running) = (&present.hub, &present.running);
            KnownToRun {
                name: format!("{hub:?} {:?}", running.key),
                started: running.started,
                last_seen: running.last_seen,
            }
        });
        let known_to_run = running_now.collect();
        Ok(Last {
            edition: moment.edition,
            versions: versions(&open),
            sources: sources
                .with_running(Arc::new(running))
                .known_to_run(known_to_run),
        })
    }

    async fn refresh(
        &self,
        open: &mut HashMap<&'static str, Open>,
        def: &'static TableDef,
    ) -> Result<(), StoreError> {
        if let Some(known) = open.get_mut(def.name) {
            // A log that was cut short or replaced is read anew.
            if known.table.refresh().await.is_ok() {
                let version = known.table.version();
                if version != known.version {
                    known.part = known.table.part().await?;
                    known.version = version;
                }
                return Ok(());
            }
            open.remove(def.name);
        }
        self.history.check_end(def)?;
        if let Some(table) = self.history.table(def).await? {
            let (part, version) = (table.part().await?, table.version());
            let opened = Open {
                table,
                part,
                version,
            };
            open.insert(def.name, opened);
        }
        Ok(())
    }
}

/// Tells whether somebody else has written to `state.db`, or another process.
fn edition(connection: &Connection) -> Result<i64, StateError> {
    Ok(connection.query_row("pragma data_version", [], |row| row.get(0))?)
}

fn versions(open: &HashMap<&'static str, Open>) -> BTreeMap<&'static str, u64> {
    let open = open.iter();
    open.map(|(name, open)| (*name, open.version)).collect()
}

/// Up to which number rows of each table and hub were moved into the history.
fn moved_by_hub(
    connection: &Connection,
) -> Result<Vec<(&'static TableDef, String, i64)>, StateError> {
    let mut numbers = Vec::new();
    for def in TABLES {
        for hub in spool::hubs(connection, def)? {
            let moved = spool::numbers(connection, def, &hub)?.flushed;
            numbers.push((*def, hub, moved));
        }
    }
    Ok(numbers)
}

impl HistoryTable {
    async fn part(&self) -> Result<Part, HistoryError> {
        let def = self.def();
        self.check_readable()?;
        let files = self.files().await?;
        let rows: Vec<RowsFile> = files.iter().map(|file| file.rows_file(def)).collect();
        let provider = Files::new(def, &rows).map_err(|error| HistoryError::rows(def, error))?;
        let pieces = files.iter().map(|file| Piece {
            name: file.path.to_string_lossy().into_owned(),
            first: file.times(def).map(|times| times.first),
        });
        let part = Part::new(def, Arc::new(provider)).made_of(pieces.collect());
        let hubs: BTreeSet<&str> = files.iter().map(|file| &*file.partition.hub).collect();
        let part = match hubs.first() {
            Some(hub) if hubs.len() == 1 => part.of_hub(hub),
            _ => part,
        };
        let revisions: Option<Vec<[i64; 2]>> = files.iter().map(DataFile::revisions).collect();
        let revisions = revisions.unwrap_or_default();
        let lowest = revisions.iter().map(|[lowest, _]| *lowest).min();
        let highest = revisions.iter().map(|[_, highest]| *highest).max();
        Ok(match (lowest, highest) {
            (Some(lowest), Some(highest)) => part.with_revisions(lowest, highest),
            _ => part,
        })
    }
}

fn memory(batch: RecordBatch) -> Result<MemTable, datafusion::error::DataFusionError> {
    MemTable::try_new(batch.schema(), vec![vec![batch]])
}

impl Moment {
    fn read(
        connection: &Connection,
        look: &mut running::Look,
        now: Timestamp,
    ) -> Result<Self, StateError> {
        let edition = edition(connection)?;
        let mut waiting = Vec::new();
        for def in TABLES {
            for hub in spool::hubs(connection, def)? {
                let mut after = 0;
                loop {
                    let portion = Portion::ONE_COMMIT;
                    let rows = spool::waiting(connection, def, &hub, after, portion)?;
                    if rows.rows.is_empty() {
                        break;
                    }
                    after = rows.last;
                    waiting.push((*def, hub.clone(), rows));
                }
            }
        }
        let zones = settings_named(connection, ZONE)?;
        let mut closed = BTreeMap::new();
        for hub in zones.keys() {
            if let Some(day) = last_closed(connection, hub)? {
                closed.insert(hub.clone(), day);
            }
        }
        Ok(Self {
            running: look.at(connection, zones.keys(), now)?,
            edition,
            waiting,
            zones,
            closed,
        })
    }
}
