//! The tables and views that queries see, made from what holds the rows.
//!
//! A table's rows lie in several places (the Delta table, the spool): its public name is one
//! plan over all of them, with equal and plain types. Views are one `.sql` file each.

use super::error::QueryError;
use crate::tables::{
    ColumnDef, ColumnKind, HUB, MONTH, Presence, RowKind, TABLES, TableDef, sessions, user_days,
};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{
    EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, cast, col, ident, lit,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
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

const fn options() -> ColumnDef {
    ColumnDef::maybe(
        "options",
        ColumnKind::Json,
        "What the user chose at the start, as a JSON object.",
    )
}

const fn image() -> ColumnDef {
    ColumnDef::maybe("image", ColumnKind::Text, "Container image, if the hub tells it.")
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
            ColumnDef::always("seconds", ColumnKind::Real, "How long it has run, in seconds."),
            active_seconds(),
            options(),
            image(),
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
            ColumnDef::maybe("ended", ColumnKind::Time, "When it ended; null if it still runs."),
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
            ColumnDef::always("joined", ColumnKind::Time, "When the hub was first seen to say so."),
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
            ColumnDef::always("since", ColumnKind::Time, "When the hub was first seen to say so."),
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
static NARROWED: &[(&str, &str)] = &[
    (sessions::TABLE.name, include_str!("views/sessions.sql")),
    (user_days::TABLE.name, include_str!("views/user_days.sql")),
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
    ColumnDef::always("last_seen", ColumnKind::Time, "The last moment it surely ran."),
    ColumnDef::maybe("last_activity", ColumnKind::Time, "Its last activity, as the hub says."),
    ColumnDef::maybe("ready", ColumnKind::Flag, "Whether it has finished starting."),
    active_seconds(),
    options(),
    image(),
];

static HUB_COLUMNS: &[ColumnDef] = &[
    hub(),
    ColumnDef::always("zone", ColumnKind::Text, "Time zone in which its days are cut."),
];

/// What holds the rows that a query sees: one moment of history, spool and the present.
#[derive(Clone, Debug)]
pub struct Sources {
    now: Timestamp,
    zones: BTreeMap<String, String>,
    tables: BTreeMap<&'static str, Vec<Arc<dyn TableProvider>>>,
    running: Vec<Arc<dyn TableProvider>>,
}

impl Sources {
    /// No rows at all; `now` is what `now()` says.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            zones: BTreeMap::new(),
            tables: BTreeMap::new(),
            running: Vec::new(),
        }
    }

    /// The time zone in which a hub's days are cut.
    #[must_use]
    pub fn with_hub(mut self, hub: &str, zone: &str) -> Self {
        self.zones.insert(hub.to_owned(), zone.to_owned());
        self
    }

    /// Rows of a table, in addition to those given before. Columns that the provider lacks are
    /// unknown, further ones are not seen.
    #[must_use]
    pub(crate) fn with_part(
        mut self,
        table: &'static TableDef,
        part: Arc<dyn TableProvider>,
    ) -> Self {
        self.tables.entry(table.name).or_default().push(part);
        self
    }

    /// The servers that run now: [`Sources::running_schema`].
    #[must_use]
    pub(crate) fn with_running(mut self, running: Arc<dyn TableProvider>) -> Self {
        self.running.push(running);
        self
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

    pub(super) fn now(&self) -> Timestamp {
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

fn is_nullable(column: &ColumnDef) -> bool {
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
                _ => return Err(unknown_table(&reference)),
            };
            if !names().any(|known| known == name) {
                return Err(unknown_table(&reference));
            }
            let table = self.table(name).await?;
            let schema = state.schema_for_ref(reference.clone())?;
            if !schema.table_exist(name) {
                schema.register_table(name.to_owned(), table)?;
            }
        }
        Ok(())
    }

    /// A public table or view.
    async fn table(&mut self, name: &str) -> Result<Arc<dyn TableProvider>, QueryError> {
        if let Some(known) = self.known.get(name) {
            return Ok(Arc::clone(known));
        }
        let view = VIEWS.iter().find(|view| view.name == name);
        let narrowed = NARROWED.iter().find(|(table, _)| *table == name);
        let plan = match (view.map(|view| view.sql), narrowed.map(|(_, sql)| *sql)) {
            (Some(sql), _) | (None, Some(sql)) => self.planned(sql).await?,
            (None, None) => self.stored(name).await?,
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
    async fn stored(&self, name: &str) -> Result<LogicalPlan, QueryError> {
        if name == RUNNING {
            return Ok(union(&self.sources.running, RUNNING_COLUMNS.iter())?);
        }
        if name == HUBS {
            let zones: Arc<dyn TableProvider> = Arc::new(self.sources.zones_table()?);
            return Ok(union(&[zones], HUB_COLUMNS.iter())?);
        }
        let table = TableDef::by_name(name)
            .ok_or_else(|| QueryError::Failed(format!("there is no table `{name}`")))?;
        let parts = self.sources.tables.get(name).map_or(&[][..], Vec::as_slice);
        let all = union(parts, table.all_columns())?;
        if table.kind == RowKind::Final || parts.is_empty() {
            return Ok(all);
        }
        let superseding = self.superseding(all.clone()).await?;
        Ok(superseding.leave_out_of(all)?)
    }

    /// The rows of ids that were corrected.
    ///
    /// Asked before the query proper, since the answer is nearly always "none" or "a few in
    /// two months" and then the query need not read a single id: reading the ids of 1.5 M
    /// sessions takes longer than all else. The files' statistics answer it without reading
    /// files in which no row has a higher revision.
    async fn superseding(&self, all: LogicalPlan) -> Result<Superseding, QueryError> {
        let corrected = LogicalPlanBuilder::from(all)
            .filter(ident("revision").gt(lit(1_i64)))?
            .aggregate(
                vec![ident(HUB), ident(MONTH), ident("id")],
                vec![max(ident("revision")).alias("newest")],
            )?
            .build()?;
        let physical = self.inner.create_physical_plan(&corrected).await?;
        let batches =
            datafusion::physical_plan::collect(physical, self.inner.task_ctx()).await?;
        Ok(Superseding { batches })
    }
}

fn unknown_table(reference: &TableReference) -> QueryError {
    let names: Vec<_> = names().collect();
    QueryError::Syntax(format!(
        "there is no table `{reference}`; there are `{}`",
        names.join("`, `")
    ))
}

/// All rows of the parts, with equal and plain types.
fn union<'a>(
    parts: &[Arc<dyn TableProvider>],
    columns: impl Iterator<Item = &'a ColumnDef>,
) -> Result<LogicalPlan> {
    let columns: Vec<_> = columns.collect();
    let mut plans = parts
        .iter()
        .enumerate()
        .map(|(at, part)| one_part(at, part, &columns));
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

fn one_part(
    at: usize,
    part: &Arc<dyn TableProvider>,
    columns: &[&ColumnDef],
) -> Result<LogicalPlan> {
    let schema = part.schema();
    let columns = columns.iter().map(|column| {
        let wanted = public_type(column.kind);
        match schema.field_with_name(column.name) {
            // A cast that changes nothing would hide the column from the reader's statistics.
            Ok(field) if *field.data_type() == wanted => ident(column.name),
            Ok(_) => cast(ident(column.name), wanted).alias(column.name),
            // Older than the column.
            Err(_) => cast(lit(ScalarValue::Null), wanted).alias(column.name),
        }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::scan(format!("part{at}"), provider_as_source(Arc::clone(part)), None)?
        .project(columns)?
        .build()
}

/// Ids that were corrected, each with its highest revision and the partition of its rows: all
/// rows of one id have the same time, so they lie in one partition.
struct Superseding {
    batches: Vec<RecordBatch>,
}

impl Superseding {
    /// Only partitions in which something was corrected are compared with the ids.
    fn leave_out_of(self, all: LogicalPlan) -> Result<LogicalPlan> {
        let mut partitions: BTreeSet<(String, String)> = BTreeSet::new();
        for batch in &self.batches {
            let text = |at: usize| arrow::compute::cast(batch.column(at), &DataType::Utf8);
            let (hubs, months) = (text(0)?, text(1)?);
            let (hubs, months) = (as_text(&hubs), as_text(&months));
            partitions.extend(hubs.iter().zip(months).filter_map(|(hub, month)| {
                Some((hub?.to_owned(), month?.to_owned()))
            }));
        }
        let Some(corrected) = partitions
            .into_iter()
            .map(|(hub, month)| ident(HUB).eq(lit(hub)).and(ident(MONTH).eq(lit(month))))
            .reduce(Expr::or)
        else {
            return Ok(all);
        };
        let untouched = LogicalPlanBuilder::from(all.clone())
            .filter(datafusion::logical_expr::not(corrected.clone()))?
            .build()?;
        let schema = self
            .batches
            .first()
            .map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
        let ids = MemTable::try_new(schema, vec![self.batches])?;
        let ids = LogicalPlanBuilder::scan("newer", provider_as_source(Arc::new(ids)), None)?;
        let ids = ids
            .project(vec![col("newer.id"), col("newer.newest")])?
            .build()?;
        let row = |name: &str| Column::new(Some("row"), name);
        let compared = LogicalPlanBuilder::from(all)
            .filter(corrected)?
            .alias("row")?
            .join(
                ids,
                JoinType::LeftAnti,
                (vec![row("id")], vec![Column::new(Some("newer"), "id")]),
                Some(Expr::Column(row("revision")).lt(col("newer.newest"))),
            )?;
        let columns: Vec<Expr> = untouched
            .schema()
            .fields()
            .iter()
            .map(|field| Expr::Column(row(field.name())).alias(field.name()))
            .collect();
        let compared = compared.project(columns)?.build()?;
        LogicalPlanBuilder::from(untouched).union(compared)?.build()
    }
}

fn as_text(array: &ArrayRef) -> &StringArray {
    arrow::array::AsArray::as_string::<i32>(array)
}

/// The name of the schema that only views see.
pub(super) const HIDDEN_SCHEMA: &str = STORED;
