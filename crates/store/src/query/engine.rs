//! Runs queries, few at a time, on threads of their own, within memory, disk and time.
//!
//! What a query may say is decided in [`super::guard`] and [`super::functions`].

use super::error::{QueryError, Resource};
use super::memory::Strict;
use super::stop::{GiveWay, Wanted};
use super::{functions, guard, threads, views};
use crate::table::Table;
use crate::{Format, Sources};
use arrow::array::{ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::config::SessionConfig;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryPool, TrackConsumersPool,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::registry::FunctionRegistry as _;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt as _;
use jiff::Timestamp;
use jiff::civil::Date;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How much queries may take from the machine.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Where large sorts and groupings put what does not fit in memory; made at the first query.
    pub temporary: PathBuf,
    /// Threads that compute, of all queries together. On Linux they give way to those of the service.
    pub threads: usize,
    /// In how many parts one query computes.
    pub parts: usize,
    /// Memory of all running queries together.
    pub memory_bytes: usize,
    /// Temporary files of all running queries together.
    pub spill_bytes: u64,
    /// Queries that run at once.
    pub concurrent: usize,
    /// Queries that wait; the next one is [`QueryError::Busy`].
    pub waiting: usize,
}

impl EngineSettings {
    /// A thread for each core, of which one query leaves one to others (a core stays free for the service
    /// where threads cannot give way to it), 512 MiB of memory and 2 GiB of disk, two queries at once and
    /// eight that wait.
    pub fn new(temporary: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let all_but_one = cores.saturating_sub(1).max(1);
        Self {
            temporary,
            threads: if threads::can_give_way(cores) {
                cores
            } else {
                all_but_one
            },
            parts: all_but_one,
            memory_bytes: 512 << 20,
            spill_bytes: 2 << 30,
            concurrent: 2,
            waiting: 8,
        }
    }
}

/// What one query may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the question to the last row, waiting included.
    pub timeout: Duration,
    /// Rows of the result; [`Engine::stream`] has no such limit.
    pub max_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_rows: 1_000_000,
        }
    }
}

/// A value for a `$name` of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A measure.
    Real(f64),
    /// A moment.
    Time(Timestamp),
    /// A day of the hub's calendar.
    Day(Date),
    /// Yes or no.
    Flag(bool),
    /// Unknown.
    Null,
}

impl Value {
    fn scalar(&self) -> ScalarValue {
        match self {
            Self::Text(text) => ScalarValue::Utf8View(Some(text.clone())),
            Self::Integer(number) => ScalarValue::Int64(Some(*number)),
            Self::Real(number) => ScalarValue::Float64(Some(*number)),
            Self::Time(time) => {
                ScalarValue::TimestampMicrosecond(Some(time.as_microsecond()), Some("UTC".into()))
            }
            Self::Day(day) => {
                let since = Date::constant(1970, 1, 1).until((jiff::Unit::Day, *day));
                // Every two days are fewer than 2^31 apart.
                ScalarValue::Date32(since.ok().map(|span| span.get_days()))
            }
            Self::Flag(flag) => ScalarValue::Boolean(Some(*flag)),
            Self::Null => ScalarValue::Null,
        }
    }
}

/// Stack of a query's thread. Address space only: what is not used takes no memory. The
/// library guards most of its recursions, but not the comparing, copying and dropping of trees,
/// whose depth [`guard`] limits.
const STACK_BYTES: usize = 32 << 20;
/// Files are read on threads of their own.
const READING_THREADS: usize = 4;
/// What is remembered of the files' own tables of contents, beside the memory of queries.
const CONTENTS_BYTES: usize = 32 << 20;
/// Batches that wait for a slow reader.
const BATCHES_AHEAD: usize = 2;

/// Runs read-only SQL.
///
/// Threads start with the first query. Dropping the engine stops all queries.
#[derive(Debug)]
pub struct Engine {
    settings: EngineSettings,
    /// Those that run or wait.
    places: Arc<Semaphore>,
    /// Those that run.
    running: Arc<Semaphore>,
    started: Mutex<Option<Started>>,
}

#[derive(Debug)]
struct Started {
    runtime: Runtime,
    environment: Arc<RuntimeEnv>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        let started = self
            .started
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(started) = started.take() {
            // Waiting for the threads would block, which async code must not do.
            started.runtime.shutdown_background();
        }
    }
}

impl Engine {
    /// Nothing runs yet.
    pub fn new(settings: EngineSettings) -> Self {
        let concurrent = settings.concurrent.max(1);
        Self {
            places: Arc::new(Semaphore::new(concurrent + settings.waiting)),
            running: Arc::new(Semaphore::new(concurrent)),
            started: Mutex::new(None),
            settings,
        }
    }

    /// All rows of a query.
    pub async fn run(
        &self,
        sql: &str,
        sources: Sources,
        limits: Limits,
        params: &[(&str, Value)],
    ) -> Result<Table, QueryError> {
        let mut rows = self.stream(sql, sources, limits, params).await?;
        let charge = MemoryConsumer::new("result").register(&rows.memory);
        let mut batches = Vec::new();
        let mut n_rows = 0;
        while let Some(batch) = rows.next_batch().await? {
            n_rows += batch.num_rows();
            if n_rows > limits.max_rows {
                let what = Resource::Rows(limits.max_rows);
                return Err(QueryError::TooLarge { what });
            }
            let batch = compact(&batch)?;
            charge.try_grow(batch.get_array_memory_size())?;
            batches.push(batch);
        }
        Ok(Table::of_batches(Arc::clone(&rows.schema), batches))
    }

    /// The rows of a query as they come, for results that need not fit in memory. Dropping them
    /// stops the query.
    pub async fn stream(
        &self,
        sql: &str,
        sources: Sources,
        limits: Limits,
        params: &[(&str, Value)],
    ) -> Result<Rows, QueryError> {
        let deadline = Instant::now() + limits.timeout;
        let timed_out = QueryError::TimedOut {
            seconds: limits.timeout.as_secs(),
        };
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| QueryError::Busy)?;
        let turn = Arc::clone(&self.running).acquire_owned();
        let turn = tokio::time::timeout_at(deadline, turn)
            .await
            .map_err(|_| QueryError::Busy)?
            .map_err(|_| QueryError::Busy)?;
        let (threads, environment) = self.started()?;
        let query = Query {
            sql: sql.to_owned(),
            params: params
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.scalar()))
                .collect(),
            sources,
            parts: self.settings.parts,
            memory: Arc::clone(&environment.memory_pool),
            environment,
            wanted: Wanted::default(),
        };
        let memory = Arc::clone(&query.memory);
        let (output, mut input) = mpsc::channel(BATCHES_AHEAD);
        let wanted = query.wanted.clone();
        let work = threads.spawn(query.run(output, [place, turn]));
        let task = Task { work, wanted };
        let first = tokio::time::timeout_at(deadline, input.recv()).await;
        let schema = match first.map_err(|_| timed_out.clone())? {
            Some(Ok(Piece::Schema(schema))) => schema,
            Some(Ok(Piece::Batch(batch))) => batch.schema(),
            Some(Err(error)) => return Err(error),
            None => return Err(task.why().await),
        };
        Ok(Rows {
            schema,
            input,
            task: Some(task),
            deadline,
            timed_out,
            memory,
            threads,
        })
    }

    /// Who was in which group of a hub at a moment: `user`, `group`, `since`,
    /// `since_not_before`.
    pub async fn members_as_of(
        &self,
        hub: &str,
        at: Timestamp,
        sources: Sources,
        limits: Limits,
    ) -> Result<Table, QueryError> {
        let params = [
            ("hub", Value::Text(hub.to_owned())),
            ("moment", Value::Time(at)),
        ];
        self.run(views::MEMBERS_AS_OF, sources, limits, &params)
            .await
    }

    fn started(&self) -> Result<(Handle, Arc<RuntimeEnv>), QueryError> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if started.is_none() {
            *started = Some(Started::new(&self.settings)?);
        }
        started
            .as_ref()
            .map(|started| {
                let handle = started.runtime.handle().clone();
                (handle, Arc::clone(&started.environment))
            })
            .ok_or_else(|| QueryError::Failed("the engine did not start".into()))
    }
}

impl Started {
    fn new(settings: &EngineSettings) -> Result<Self, QueryError> {
        let failed = |error: std::io::Error| {
            QueryError::Failed(format!("could not start the query engine: {error}"))
        };
        std::fs::create_dir_all(&settings.temporary).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.threads.max(1))
            .max_blocking_threads(READING_THREADS)
            .thread_stack_size(STACK_BYTES)
            .thread_name("query")
            .on_thread_start(threads::give_way)
            .enable_all()
            .build()
            .map_err(failed)?;
        // Each sort and grouping gets an equal share and puts the rest on disk; with one common
        // pot the first would take all and the second fail.
        let pool = FairSpillPool::new(settings.memory_bytes);
        let pool = Strict(TrackConsumersPool::new(pool, NonZeroUsize::MIN));
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![
                settings.temporary.clone(),
            ]))
            .with_max_temp_directory_size(settings.spill_bytes);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(disk)
            .with_metadata_cache_limit(CONTENTS_BYTES)
            .build_arc()?;
        Ok(Self {
            runtime,
            environment,
        })
    }
}

/// The rows of a running query.
#[derive(Debug)]
pub struct Rows {
    schema: SchemaRef,
    input: mpsc::Receiver<Result<Piece, QueryError>>,
    task: Option<Task>,
    deadline: Instant,
    timed_out: QueryError,
    memory: Arc<dyn MemoryPool>,
    threads: Handle,
}

impl Rows {
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Where queries run.
    pub(super) fn threads(&self) -> Handle {
        self.threads.clone()
    }

    /// That of all queries together.
    pub(super) fn memory(&self) -> &Arc<dyn MemoryPool> {
        &self.memory
    }

    /// The next rows, none at the end.
    pub async fn next(&mut self) -> Result<Option<Table>, QueryError> {
        let batch = self.next_batch().await?;
        Ok(batch.map(|batch| Table::of_batches(Arc::clone(&self.schema), vec![batch])))
    }

    /// Writes all rows as they come; gives their number. With [`Format::Text`] they are kept
    /// until the last one is known.
    pub async fn write(
        mut self,
        format: Format,
        output: &mut impl Write,
    ) -> Result<u64, QueryError> {
        // A query that fails at once writes nothing, not even a head.
        let mut next = self.next_batch().await?;
        let mut writer = Table::writer(format, Arc::clone(&self.schema), output)?;
        let mut n_rows = 0;
        while let Some(batch) = next {
            n_rows += batch.num_rows() as u64;
            writer.write(&batch)?;
            next = self.next_batch().await?;
        }
        writer.finish()?;
        Ok(n_rows)
    }

    pub(super) async fn next_batch(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        loop {
            let next = tokio::time::timeout_at(self.deadline, self.input.recv()).await;
            match next.map_err(|_| self.timed_out.clone()) {
                Ok(Some(Ok(Piece::Batch(batch)))) if batch.num_rows() == 0 => {}
                Ok(Some(Ok(Piece::Batch(batch)))) => return Ok(Some(batch)),
                Ok(Some(Ok(Piece::Schema(_)))) => {}
                Ok(Some(Err(error))) | Err(error) => {
                    self.task = None;
                    return Err(error);
                }
                // The last row, or a panic.
                Ok(None) => match self.task.take() {
                    Some(task) => return task.end().await.map(|()| None),
                    None => return Ok(None),
                },
            }
        }
    }
}

/// Text of the rows alone: what the engine gives still holds all that it was picked from.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let columns = batch.columns().iter().map(|column| -> ArrayRef {
        match column.as_string_view_opt() {
            Some(texts) => Arc::new(texts.gc()),
            None => Arc::clone(column),
        }
    });
    let compact = RecordBatch::try_new(batch.schema(), columns.collect());
    compact.map_err(|error| QueryError::Failed(error.to_string()))
}

/// What a query sends.
#[derive(Debug)]
enum Piece {
    /// First, once.
    Schema(SchemaRef),
    Batch(RecordBatch),
}

/// A query at work: dropped, it is stopped at its next step.
#[derive(Debug)]
struct Task {
    work: JoinHandle<()>,
    wanted: Wanted,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.wanted.no_more();
        self.work.abort();
    }
}

impl Task {
    async fn end(mut self) -> Result<(), QueryError> {
        (&mut self.work).await.map_err(|error| {
            // The panic itself is in the log of the process.
            let why = if error.is_panic() {
                "an error in the query engine; please report the query"
            } else {
                "it was stopped"
            };
            QueryError::Failed(why.into())
        })
    }

    /// Why it ended before it sent anything.
    async fn why(self) -> QueryError {
        match self.end().await {
            Err(error) => error,
            Ok(()) => QueryError::Failed("it ended without a result".into()),
        }
    }
}

/// A query and all it needs, on its way to the query threads.
struct Query {
    sql: String,
    params: Vec<(String, ScalarValue)>,
    sources: Sources,
    parts: usize,
    environment: Arc<RuntimeEnv>,
    memory: Arc<dyn MemoryPool>,
    wanted: Wanted,
}

impl Query {
    /// The permits are held until the work has truly ended: planning cannot be interrupted.
    async fn run(
        self,
        output: mpsc::Sender<Result<Piece, QueryError>>,
        permits: [OwnedSemaphorePermit; 2],
    ) {
        if let Err(error) = self.send_all(&output).await {
            // Nobody listens any more: then there is nobody to tell.
            let _ = output.send(Err(error)).await;
        }
        drop(permits);
    }

    async fn send_all(
        self,
        output: &mpsc::Sender<Result<Piece, QueryError>>,
    ) -> Result<(), QueryError> {
        let (physical, state) = self.plan().await?;
        if output
            .send(Ok(Piece::Schema(physical.schema())))
            .await
            .is_err()
        {
            return Ok(());
        }
        let mut batches = execute_stream(physical, state.task_ctx())?;
        while let Some(batch) = batches.next().await {
            if output.send(Ok(Piece::Batch(batch?))).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn plan(self) -> Result<(Arc<dyn ExecutionPlan>, SessionState), QueryError> {
        let statement = guard::parse(&self.sql)?;
        let state = self.state(&["public"])?;
        let inner = self.state(&["public", views::HIDDEN_SCHEMA])?;
        views::Catalog::new(&self.sources, inner)
            .resolve(&statement, &state)
            .await?;
        let plan = state.statement_to_plan(statement).await?;
        guard::check_plan(&plan, &self.sources.scope().function_names())?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        let plan = plan.with_param_values(ParamValues::from(self.params))?;
        let plan = state.optimize(&plain(plan, &state)?)?;
        guard::check_constants(&plan)?;
        let physical = state
            .query_planner()
            .create_physical_plan(&plan, &state)
            .await?;
        Ok((physical, state))
    }

    /// A session in which nothing exists but the allowed functions and empty schemas.
    fn state(&self, schemas: &[&str]) -> Result<SessionState, QueryError> {
        let builder = SessionStateBuilder::new()
            .with_config(config(self.parts))
            .with_runtime_env(Arc::clone(&self.environment))
            .with_physical_optimizer_rule(Arc::new(GiveWay(self.wanted.clone())));
        let mut state = functions::add_to(builder).build();
        functions::add_later(&mut state, self.sources.now())?;
        for function in &self.sources.scope().functions {
            state.register_udf(Arc::clone(function))?;
        }
        let catalog = MemoryCatalogProvider::new();
        for schema in schemas {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
        }
        state
            .catalog_list()
            .register_catalog("history".to_owned(), Arc::new(catalog));
        Ok(state)
    }
}

pub(super) fn config(parts: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema("history", "public")
        .with_information_schema(false)
        // No more than cores: they would only be cut and merged again.
        .with_target_partitions(parts.max(1));
    let options = config.options_mut();
    options.execution.enable_recursive_ctes = false;
    options.execution.planning_concurrency = 1;
    options.sql_parser.recursion_limit =
        ConfigNonZeroUsize::try_new(50).unwrap_or(options.sql_parser.recursion_limit);
    // Filters on a person or a group pass few rows: only of those the wide columns are read.
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    // None are written.
    options.execution.parquet.bloom_filter_on_read = false;
    // What rows of days are joined with are all days that were asked about: looking each row up before the
    // join, too, finds them all.
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    // Text as views: compared by their first bytes, copied as 16 bytes.
    options.execution.parquet.schema_force_view_types = true;
    // Spilled batches are written and read once, on a disk that is slower than lz4.
    options.execution.spill_compression = datafusion::common::config::SpillCompression::Lz4Frame;
    // The default of 10 MiB for each sort is a tenth of what two queries have on many cores.
    options.execution.sort_spill_reservation_bytes = 4 << 20;
    config
}

/// Results that every format can hold: what `->` gives is one of many types and becomes text.
fn plain(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan, QueryError> {
    let is_union = |kind: &DataType| matches!(kind, DataType::Union(..));
    let fields = plan.schema().fields();
    if !fields.iter().any(|field| is_union(field.data_type())) {
        return Ok(plan);
    }
    let to_text = state
        .scalar_functions()
        .get("json_union_to_text")
        .cloned()
        .ok_or_else(|| QueryError::Failed("there is no `json_union_to_text`".into()))?;
    let columns = plan.schema().columns();
    let columns: Vec<Expr> = columns
        .into_iter()
        .zip(plan.schema().fields())
        .map(|(column, field)| {
            let name = column.name.clone();
            if is_union(field.data_type()) {
                to_text.call(vec![Expr::Column(column)]).alias(name)
            } else {
                Expr::Column(column)
            }
        })
        .collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}
