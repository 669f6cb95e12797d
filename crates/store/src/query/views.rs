//! The tables and views that queries see, made from what holds the rows.
//!
//! A table's rows lie in several places (the Delta table, the spool): its public name is one
//! plan over all of them, with equal and plain types. Views are one `.sql` file each.

use super::corrections::{Corrections, Remembered};
use super::error::QueryError;
use super::plain::Plain;
use super::remembered::AnswersOfRows;
use super::scope::Scope;
use crate::tables::{ColumnDef, ColumnKind, HUB, Presence, TABLES, TableDef, sessions, user_days};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{DFSchema, Result, ScalarValue, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan, LogicalPlanBuilder, ident, lit};
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A view: its columns are checked against what its SQL gives.
#[derive(Debug)]
pub(super) struct ViewDef {
    pub(super) name: &'static str,
    /// What one row is.
    pub(super) doc: &'static str,
    pub(super) columns: &'static [ColumnDef],
    sql: &'static str,
}

const fn user() -> ColumnDef {
    ColumnDef::always("user", ColumnKind::Name, "Who.")
}

const fn group() -> ColumnDef {
    ColumnDef::always("group", ColumnKind::Text, "The group.")
}

const fn hub() -> ColumnDef {
    ColumnDef::always(HUB, ColumnKind::Text, "Name of the hub.")
}

const fn server() -> ColumnDef {
    ColumnDef::always(
        "server",
        ColumnKind::Name,
        "Name of the server; empty is the default server.",
    )
}

const fn started() -> ColumnDef {
    ColumnDef::always("started", ColumnKind::Time, "When the hub started it.")
}

const fn active_seconds() -> ColumnDef {
    ColumnDef::maybe(
        "active_seconds",
        ColumnKind::Integer,
        "Seconds with activity; unknown if only start and stop are known.",
    )
}

const fn active_by_hour() -> ColumnDef {
    ColumnDef::maybe(
        "active_by_hour",
        ColumnKind::Json,
        "The same by hour, as a JSON object with the hours' starts as names.",
    )
}

const fn options() -> ColumnDef {
    ColumnDef::maybe(
        "options",
        ColumnKind::Json,
        "What the user chose at the start, as a JSON object.",
    )
}

const fn image() -> ColumnDef {
    ColumnDef::maybe(
        "image",
        ColumnKind::Text,
        "Container image, if the hub tells it.",
    )
}

/// All views, in the order of the documentation.
pub(super) static VIEWS: &[ViewDef] = &[
    ViewDef {
        name: "hubs",
        doc: "A hub that the history is about.",
        columns: &[
            hub(),
            ColumnDef::always(
                "zone",
                ColumnKind::Text,
                "Time zone in which its days are cut, as `Europe/Berlin`.",
            ),
        ],
        sql: include_str!("views/hubs.sql"),
    },
    ViewDef {
        name: "running_sessions",
        doc: "A server that runs now.",
        columns: &[
            hub(),
            user(),
            server(),
            started(),
            ColumnDef::always(
                "seconds",
                ColumnKind::Real,
                "How long it has run, in seconds.",
            ),
            active_seconds(),
            active_by_hour(),
            options(),
            image(),
            ColumnDef::maybe(
                "last_activity",
                ColumnKind::Time,
                "The last traffic or report of activity, about five minutes exact.",
            ),
        ],
        sql: include_str!("views/running_sessions.sql"),
    },
    ViewDef {
        name: "all_sessions",
        doc: "A server that runs or ran: `sessions` and `running_sessions` together.",
        columns: &[
            hub(),
            user(),
            server(),
            started(),
            ColumnDef::maybe(
                "ended",
                ColumnKind::Time,
                "When it ended; null if it still runs.",
            ),
            ColumnDef::always(
                "last_seen",
                ColumnKind::Time,
                "The last moment it surely ran.",
            ),
            ColumnDef::maybe(
                "end_reason",
                ColumnKind::Text,
                "As in `sessions`; null if it still runs.",
            ),
            active_seconds(),
            options(),
            image(),
        ],
        sql: include_str!("views/all_sessions.sql"),
    },
    ViewDef {
        name: "membership_intervals",
        doc: "Somebody was in a group from `joined` to `left`. Who was in which group at a moment: \
              `where joined <= $moment and (\"left\" is null or \"left\" > $moment)`.",
        columns: &[
            hub(),
            user(),
            group(),
            ColumnDef::always(
                "joined",
                ColumnKind::Time,
                "When the hub was first seen to say so.",
            ),
            ColumnDef::maybe(
                "joined_not_before",
                ColumnKind::Time,
                "When the hub last said otherwise; unknown for members who were there when the history began.",
            ),
            ColumnDef::maybe(
                "left",
                ColumnKind::Time,
                "When the hub was first seen to say otherwise; null for a member of today.",
            ),
            ColumnDef::maybe(
                "reason",
                ColumnKind::Text,
                "Why the membership ended, if not by an ordinary change.",
            ),
        ],
        sql: include_str!("views/membership_intervals.sql"),
    },
    ViewDef {
        name: "current_members",
        doc: "Somebody is in a group now.",
        columns: &[
            hub(),
            user(),
            group(),
            ColumnDef::always(
                "since",
                ColumnKind::Time,
                "When the hub was first seen to say so.",
            ),
            ColumnDef::maybe(
                "since_not_before",
                ColumnKind::Time,
                "When the hub last said otherwise; unknown for members who were there when the history began.",
            ),
        ],
        sql: include_str!("views/current_members.sql"),
    },
];

/// Who was in which group at `$moment` on `$hub`.
pub(super) const MEMBERS_AS_OF: &str = include_str!("views/members_as_of.sql");

/// Tables that show less than all rows that count.
static NARROWED: &[(&TableDef, &str)] = &[
    (&sessions::TABLE, include_str!("views/sessions.sql")),
    (&user_days::TABLE, include_str!("views/user_days.sql")),
];

/// One row per running server.
const RUNNING: &str = "running";
const HUBS: &str = "hubs";
/// Where the tables lie that only views see.
const STORED: &str = "stored";

pub(super) static RUNNING_COLUMNS: &[ColumnDef] = &[
    hub(),
    user(),
    server(),
    started(),
    ColumnDef::always(
        "last_seen",
        ColumnKind::Time,
        "The last moment it surely ran.",
    ),
    ColumnDef::maybe(
        "last_activity",
        ColumnKind::Time,
        "Its last activity, as the hub says.",
    ),
    ColumnDef::maybe(
        "ready",
        ColumnKind::Flag,
        "Whether it has finished starting.",
    ),
    active_seconds(),
    active_by_hour(),
    options(),
    image(),
];

static HUB_COLUMNS: &[ColumnDef] = &[
    hub(),
    ColumnDef::always(
        "zone",
        ColumnKind::Text,
        "Time zone in which its days are cut.",
    ),
];

/// Rows of a table that do not change: one version of its Delta table, or what was in the spool.
///
/// Keep it as long as there is no newer version, and clone it into each [`Sources`]: it remembers
/// what it was once asked about itself.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    table: &'static TableDef,
    pub(super) provider: Arc<dyn TableProvider>,
    pub(super) remembered: Remembered,
    /// What it is made of.
    pieces: Arc<[Piece]>,
    /// The hub that all rows are of, where they are of one.
    hub: Option<Arc<str>>,
}

/// A file, or a waiting row: something that does not change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Piece {
    /// Its path, or the row's number.
    pub(crate) name: String,
    /// Not after the time of its first row, in microseconds since 1970, where that is known.
    pub(crate) first: Option<i64>,
}

impl Part {
    /// Columns that the provider lacks are unknown, further ones are not seen.
    pub(crate) fn new(table: &'static TableDef, provider: Arc<dyn TableProvider>) -> Self {
        Self {
            table,
            provider,
            remembered: Remembered::default(),
            pieces: Arc::default(),
            hub: None,
        }
    }

    /// The same, saying that all its rows are of this hub: then nobody reads or compares its name.
    pub(crate) fn of_hub(mut self, hub: &str) -> Self {
        self.hub = Some(hub.into());
        self
    }

    /// The same, saying between which revisions its rows lie.
    pub(crate) fn with_revisions(mut self, lowest: i64, highest: i64) -> Self {
        self.remembered = Remembered::of_revisions(lowest, highest);
        self
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        Rows {
            provider: &self.provider,
            hub: self.hub.as_deref(),
        }
    }

    /// The same, saying what it is made of.
    pub(crate) fn made_of(mut self, pieces: Vec<Piece>) -> Self {
        self.pieces = pieces.into();
        self
    }
}

/// What holds the rows that a query sees: one moment of history, spool and the present.
#[derive(Clone, Debug)]
pub struct Sources {
    now: Timestamp,
    zones: BTreeMap<String, String>,
    closed: BTreeMap<String, Date>,
    tables: BTreeMap<&'static str, Vec<Part>>,
    running: Vec<Arc<dyn TableProvider>>,
    /// The same, in a few words.
    known_to_run: Arc<[KnownToRun]>,
    scope: Arc<Scope>,
    answers: Arc<AnswersOfRows>,
    /// What was answered of just these rows, at about this moment.
    of_moment: Arc<AnswersOfRows>,
}

/// A server that runs.
#[derive(Clone, Debug)]
pub(crate) struct KnownToRun {
    /// Hub, user and server.
    pub(crate) name: String,
    pub(crate) started: Timestamp,
    pub(crate) last_seen: Timestamp,
}

impl Sources {
    /// No rows at all; `now` is what `now()` says.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            zones: BTreeMap::new(),
            closed: BTreeMap::new(),
            tables: BTreeMap::new(),
            running: Vec::new(),
            known_to_run: Arc::default(),
            scope: Arc::default(),
            answers: Arc::default(),
            of_moment: Arc::default(),
        }
    }

    /// The time zone in which a hub's days are cut.
    #[must_use]
    pub fn with_hub(mut self, hub: &str, zone: &str) -> Self {
        self.zones.insert(hub.to_owned(), zone.to_owned());
        self
    }

    /// The last day of a hub that `user_days` has.
    #[must_use]
    pub(crate) fn with_closed(mut self, hub: &str, day: Date) -> Self {
        self.closed.insert(hub.to_owned(), day);
        self
    }

    /// Rows of a table, in addition to those given before.
    #[must_use]
    pub(crate) fn with_part(mut self, part: Part) -> Self {
        self.tables.entry(part.table.name).or_default().push(part);
        self.of_moment = Arc::default();
        self
    }

    /// The servers that run now: [`Sources::running_schema`].
    #[must_use]
    pub(crate) fn with_running(mut self, running: Arc<dyn TableProvider>) -> Self {
        self.running.push(running);
        self.of_moment = Arc::default();
        self
    }

    /// What one question adds to the tables and views.
    #[must_use]
    pub(crate) fn with_scope(mut self, scope: Arc<Scope>) -> Self {
        self.scope = scope;
        self
    }

    /// The time zone of each hub, by its name.
    pub(crate) fn zones(&self) -> &BTreeMap<String, String> {
        &self.zones
    }

    /// The last day of a hub that `user_days` has.
    pub(crate) fn closed(&self, hub: &str) -> Option<Date> {
        self.closed.get(hub).copied()
    }

    /// What the tables are made of, but for pieces that begin after a moment.
    pub(crate) fn pieces_until(&self, ends: i64) -> impl Iterator<Item = (&'static str, &Piece)> {
        let parts = self.tables.values().flatten();
        let pieces =
            parts.flat_map(|part| part.pieces.iter().map(|piece| (part.table.name, piece)));
        pieces.filter(move |(_, piece)| piece.first.is_none_or(|first| first <= ends))
    }

    /// The same, of a store that remembers what it was asked.
    #[must_use]
    pub(crate) fn remembering(mut self, answers: Arc<AnswersOfRows>) -> Self {
        self.answers = answers;
        self
    }

    /// What was answered from rows that may be the same.
    pub(crate) fn answers(&self) -> &AnswersOfRows {
        &self.answers
    }

    /// What was answered from all of these rows, at about this moment.
    pub(crate) fn answers_of_moment(&self) -> &AnswersOfRows {
        &self.of_moment
    }

    /// The same rows, a moment later.
    #[must_use]
    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Names of what a table is made of, in order, but for pieces that begin at a moment or later;
    /// `None` where that is not known.
    pub(crate) fn pieces_of(&self, table: &TableDef, before: i64) -> Option<Vec<&str>> {
        let parts = self.tables.get(table.name).into_iter().flatten();
        let mut names = Vec::new();
        for part in parts {
            if part.pieces.is_empty() {
                return None;
            }
            let begins = |piece: &&Piece| piece.first.is_none_or(|first| first < before);
            let early = part.pieces.iter().filter(begins);
            names.extend(early.map(|piece| piece.name.as_str()));
        }
        names.sort_unstable();
        Some(names)
    }

    /// The servers that run now, for keys of what is remembered.
    #[must_use]
    pub(crate) fn known_to_run(mut self, servers: Vec<KnownToRun>) -> Self {
        self.known_to_run = servers.into();
        self
    }

    /// Those that started before a moment, with all that tells of the time until then.
    pub(crate) fn ran_before(&self, moment: Timestamp) -> Vec<String> {
        let before = self.known_to_run.iter();
        let before = before.filter(|server| server.started < moment);
        let mut told: Vec<String> = before
            .map(|server| {
                let seen = server.last_seen.min(moment);
                format!("{} {} {seen}", server.name, server.started)
            })
            .collect();
        told.sort_unstable();
        told
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The columns that [`Sources::with_running`] takes.
    pub(crate) fn running_schema() -> SchemaRef {
        let field = |column: &ColumnDef| {
            let kind = column.kind.arrow();
            Field::new(column.name, kind, is_nullable(column))
        };
        Arc::new(Schema::new(
            RUNNING_COLUMNS.iter().map(field).collect::<Vec<_>>(),
        ))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    fn zones_table(&self) -> Result<MemTable> {
        let names: StringArray = self.zones.keys().map(Some).collect();
        let zones: StringArray = self.zones.values().map(Some).collect();
        let columns = [
            (HUB, Arc::new(names) as ArrayRef),
            ("zone", Arc::new(zones) as ArrayRef),
        ];
        let batch = RecordBatch::try_from_iter(columns)?;
        MemTable::try_new(batch.schema(), vec![vec![batch]])
    }
}

pub(super) fn is_nullable(column: &ColumnDef) -> bool {
    column.presence == Presence::Maybe
}

/// The type that queries see: text as views, which the engine compares and copies by their
/// first bytes, and which the Delta reader gives.
pub(super) fn public_type(kind: ColumnKind) -> DataType {
    match kind.arrow() {
        DataType::Utf8 => DataType::Utf8View,
        other => other,
    }
}

/// The names of all tables and views.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let tables = TABLES.iter().map(|table| table.name);
    tables.chain(VIEWS.iter().map(|view| view.name))
}

/// What has to be known of tables before their plans can be made, and the plans.
pub(super) struct Catalog<'a> {
    sources: &'a Sources,
    /// Plans views: it knows the hidden tables too.
    inner: SessionState,
    known: BTreeMap<String, Arc<dyn TableProvider>>,
}

impl<'a> Catalog<'a> {
    pub(super) fn new(sources: &'a Sources, inner: SessionState) -> Self {
        Self {
            sources,
            inner,
            known: BTreeMap::new(),
        }
    }

    /// Makes the tables that a statement names available to `state`.
    pub(super) async fn resolve(
        &mut self,
        statement: &datafusion::sql::parser::Statement,
        state: &SessionState,
    ) -> Result<(), QueryError> {
        for reference in state.resolve_table_references(statement)? {
            let name = match &reference {
                TableReference::Bare { table } => table.as_ref(),
                // There is one schema, with the library's name for it.
                TableReference::Partial { schema, table } if schema.as_ref() == "public" => {
                    table.as_ref()
                }
                _ => return Err(self.unknown_table(&reference)),
            };
            if !names().any(|known| known == name) && !self.sources.scope().has(name) {
                return Err(self.unknown_table(&reference));
            }
            let table = self.table(name).await?;
            let schema = state.schema_for_ref(reference.clone())?;
            if !schema.table_exist(name) {
                schema.register_table(name.to_owned(), table)?;
            }
        }
        Ok(())
    }

    fn unknown_table(&self, reference: &TableReference) -> QueryError {
        let mut all: Vec<&str> = names().collect();
        all.extend(self.sources.scope().view_names());
        QueryError::Syntax(format!(
            "there is no table `{reference}`; there are `{}`",
            all.join("`, `")
        ))
    }

    /// A public table or view.
    async fn table(&mut self, name: &str) -> Result<Arc<dyn TableProvider>, QueryError> {
        if let Some(known) = self.known.get(name) {
            return Ok(Arc::clone(known));
        }
        let scope = self.sources.scope();
        if let Some(table) = scope.tables.get(name) {
            return Ok(Arc::clone(table));
        }
        if let Some(sql) = scope.views.get(name) {
            let plan = self.planned(sql).await?;
            let table: Arc<dyn TableProvider> = Arc::new(ViewTable::new(plan, None));
            self.known.insert(name.to_owned(), Arc::clone(&table));
            return Ok(table);
        }
        let view = VIEWS.iter().find(|view| view.name == name);
        let narrowed = NARROWED.iter().find(|(table, _)| table.name == name);
        let plan = match (view, narrowed) {
            (Some(view), _) => self.planned(view.sql).await?,
            // Only a correction takes a row's sessions away.
            (None, Some((table, sql))) if self.corrections(table).is_any().await? => {
                self.planned(sql).await?
            }
            (None, _) => self.stored(name).await?,
        };
        let table: Arc<dyn TableProvider> = Arc::new(ViewTable::new(plan, None));
        self.known.insert(name.to_owned(), Arc::clone(&table));
        Ok(table)
    }

    /// The plan of a view's SQL.
    async fn planned(&mut self, sql: &str) -> Result<LogicalPlan, QueryError> {
        let statement = super::guard::parse(sql)?;
        for reference in self.inner.resolve_table_references(&statement)? {
            let name = reference.table().to_owned();
            let schema = self.inner.schema_for_ref(reference.clone())?;
            if schema.table_exist(&name) {
                continue;
            }
            let table: Arc<dyn TableProvider> = if reference.schema() == Some(STORED) {
                Arc::new(ViewTable::new(self.stored(&name).await?, None))
            } else {
                Box::pin(self.table(&name)).await?
            };
            schema.register_table(name, table)?;
        }
        Ok(self.inner.statement_to_plan(statement).await?)
    }

    /// All rows that count, of every part.
    async fn stored(&mut self, name: &str) -> Result<LogicalPlan, QueryError> {
        if name == RUNNING {
            let running = self.sources.running.iter().map(Rows::of);
            return Ok(union(running, RUNNING_COLUMNS.iter())?);
        }
        if name == HUBS {
            let zones: Arc<dyn TableProvider> = Arc::new(self.sources.zones_table()?);
            return Ok(union([Rows::of(&zones)], HUB_COLUMNS.iter())?);
        }
        let table = TableDef::by_name(name)
            .ok_or_else(|| QueryError::Failed(format!("there is no table `{name}`")))?;
        let parts = self.parts(name).iter().map(Part::rows);
        let all = union(parts, table.all_columns())?;
        self.corrections(table).leave_out_of(all).await
    }

    fn parts(&self, name: &str) -> &'a [Part] {
        self.sources.tables.get(name).map_or(&[][..], Vec::as_slice)
    }

    fn corrections(&self, table: &'static TableDef) -> Corrections<'_> {
        Corrections {
            table,
            parts: self.parts(table.name),
            session: &self.inner,
        }
    }
}

/// Rows that lie in one place.
pub(super) struct Rows<'a> {
    provider: &'a Arc<dyn TableProvider>,
    /// The hub that all of them are of, where they are of one.
    hub: Option<&'a str>,
}

impl<'a> Rows<'a> {
    fn of(provider: &'a Arc<dyn TableProvider>) -> Self {
        Self {
            provider,
            hub: None,
        }
    }
}

/// All rows of the places, with equal and plain types.
pub(super) fn union<'a, 'b>(
    places: impl IntoIterator<Item = Rows<'b>>,
    columns: impl Iterator<Item = &'a ColumnDef>,
) -> Result<LogicalPlan> {
    let columns: Vec<_> = columns.collect();
    let mut plans = places
        .into_iter()
        .enumerate()
        .map(|(at, rows)| one_place(at, &rows, &columns));
    let Some(first) = plans.next() else {
        let fields = columns.iter().map(|column| {
            let kind = public_type(column.kind);
            Field::new(column.name, kind, is_nullable(column))
        });
        let schema = DFSchema::try_from(Schema::new(fields.collect::<Vec<_>>()))?;
        return Ok(LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: Arc::new(schema),
        }));
    };
    let mut union = LogicalPlanBuilder::from(first?);
    for plan in plans {
        union = union.union(plan?)?;
    }
    union.build()
}

fn one_place(at: usize, rows: &Rows<'_>, columns: &[&ColumnDef]) -> Result<LogicalPlan> {
    let name = format!("part{at}");
    let provider: Arc<dyn TableProvider> = Arc::new(Plain::new(Arc::clone(rows.provider), columns));
    let of_hub = rows.hub.map(|hub| {
        let hub = lit(ScalarValue::Utf8View(Some(hub.to_owned())));
        hub.alias_qualified(Some(name.as_str()), HUB)
    });
    let columns = columns.iter().map(|column| match &of_hub {
        Some(hub) if column.name == HUB => hub.clone(),
        _ => ident(column.name),
    });
    LogicalPlanBuilder::scan(name.as_str(), provider_as_source(provider), None)?
        .project(columns)?
        .build()
}

/// The name of the schema that only views see.
pub(super) const HIDDEN_SCHEMA: &str = STORED;
