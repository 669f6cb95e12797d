//! The rows of a history table's files, read as what they are: Parquet.
//!
//! Which files a table has, its log says once for each version; a query that asked the log again, as the
//! Delta library does, spent a quarter of its time there, and as much on reading the files' own tables of
//! contents, which are remembered here.

use super::views::{is_nullable, public_type};
use crate::tables::{ColumnKind, HUB, MONTH, TableDef};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{
    ColumnStatistics, DFSchema, DataFusionError, Result, ScalarValue, Statistics, project_schema,
};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use jiff::Timestamp;
use object_store::ObjectMeta;
use object_store::path::Path as StorePath;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// A file with rows of a table.
#[derive(Clone, Debug)]
pub(crate) struct RowsFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The hub of all its rows.
    pub(crate) hub: String,
    /// Their month, as `2026-11`.
    pub(crate) month: String,
    /// Bytes.
    pub(crate) size: u64,
    /// When it was written, in milliseconds since 1970.
    pub(crate) written: i64,
    /// Rows, if the log says so.
    pub(crate) n_rows: Option<u64>,
    /// What the log says of its columns.
    pub(crate) bounds: Vec<Bounds>,
}

/// Between what the values of a column lie; those of times may be a little further apart.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) column: &'static str,
    /// Times in microseconds since 1970, days since 1970, or whole numbers.
    pub(crate) least: Option<i64>,
    pub(crate) most: Option<i64>,
    pub(crate) n_unknown: Option<u64>,
}

/// One version of a table: its files do not change. They are read in any order, several at a time.
#[derive(Debug)]
pub(crate) struct Files {
    schema: TableSchema,
    all: Vec<PartitionedFile>,
    /// Of each of them, for choosing between them only: times may be a little apart from what is there.
    statistics: Vec<Arc<Statistics>>,
}

impl Files {
    pub(crate) fn new(def: &TableDef, files: &[RowsFile]) -> Result<Self> {
        let of_files = def.columns.iter().map(|column| {
            let kind = public_type(column.kind);
            Field::new(column.name, kind, is_nullable(column))
        });
        let of_files: Vec<Field> = of_files.collect();
        let text = public_type(ColumnKind::Text);
        let of_folders = [HUB, MONTH].map(|name| Arc::new(Field::new(name, text.clone(), false)));
        let schema = TableSchema::builder(Arc::new(Schema::new(of_files)))
            .with_table_partition_cols(of_folders.to_vec())
            .build();
        let statistics = files.iter();
        let statistics = statistics.map(|file| Arc::new(file.statistics(schema.table_schema())));
        Ok(Self {
            statistics: statistics.collect(),
            all: files
                .iter()
                .map(RowsFile::partitioned)
                .collect::<Result<_>>()?,
            schema,
        })
    }

    /// Files that may hold rows of which the filters are true.
    fn chosen(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<usize>> {
        let all = (0..self.all.len()).collect();
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(all);
        };
        let schema = self.schema.table_schema();
        let columns = DFSchema::try_from(Arc::clone(schema))?;
        let filter = state.create_physical_expr(filter, &columns)?;
        let filter = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(schema))
            .try_build(filter)?;
        let statistics = PrunableStatistics::new(self.statistics.clone(), Arc::clone(schema));
        let mut may_hold = filter.prune(&statistics)?.into_iter();
        let mut chosen: Vec<usize> = all;
        chosen.retain(|_| may_hold.next().unwrap_or(true));
        Ok(chosen)
    }

    fn n_rows(&self, chosen: &[usize]) -> Precision<usize> {
        let rows = chosen.iter().map(|at| self.statistics[*at].num_rows);
        let sum = rows.reduce(|sum, rows| sum.add(&rows));
        sum.unwrap_or(Precision::Exact(0))
    }

    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let chosen = self.chosen(state, filters)?;
        if chosen.is_empty() {
            let schema = project_schema(self.schema.table_schema(), projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let files = chosen.iter().map(|at| self.all[*at].clone()).collect();
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let mut statistics = Statistics::new_unknown(self.schema.table_schema());
        statistics.num_rows = self.n_rows(&chosen);
        let url = ObjectStoreUrl::local_filesystem();
        let config = FileScanConfigBuilder::new(url.clone(), Arc::new(self.source(state, &url)?))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit);
        Ok(DataSourceExec::from_data_source(config.build()))
    }

    fn source(&self, state: &dyn Session, url: &ObjectStoreUrl) -> Result<ParquetSource> {
        let environment = state.runtime_env();
        let contents = environment.cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(environment.object_store(url)?, contents);
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let source = ParquetSource::new(self.schema.clone());
        Ok(source
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader)))
    }
}

impl RowsFile {
    fn partitioned(&self) -> Result<PartitionedFile> {
        let location = StorePath::from_absolute_path(&self.path);
        let location = location.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let written = Timestamp::from_millisecond(self.written).unwrap_or_default();
        let file = PartitionedFile::new_from_meta(ObjectMeta {
            location,
            last_modified: std::time::SystemTime::from(written).into(),
            size: self.size,
            e_tag: None,
            version: None,
        });
        Ok(file.with_partition_values(vec![text(&self.hub), text(&self.month)]))
    }

    fn statistics(&self, schema: &SchemaRef) -> Statistics {
        let columns = schema
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                HUB => always(&self.hub),
                MONTH => always(&self.month),
                name => {
                    let bounds = self.bounds.iter().find(|bounds| bounds.column == name);
                    bounds.map_or_else(ColumnStatistics::new_unknown, |bounds| bounds.of(field))
                }
            });
        let n_rows = self.n_rows.and_then(|n_rows| usize::try_from(n_rows).ok());
        Statistics {
            num_rows: n_rows.map_or(Precision::Absent, Precision::Exact),
            total_byte_size: Precision::Absent,
            column_statistics: columns.collect(),
        }
    }
}

impl Bounds {
    fn of(&self, field: &Field) -> ColumnStatistics {
        let exact = |number: Option<i64>| {
            let value = number.and_then(|number| scalar(number, field.data_type()));
            value.map_or(Precision::Absent, Precision::Exact)
        };
        let n_unknown = self
            .n_unknown
            .and_then(|number| usize::try_from(number).ok());
        ColumnStatistics {
            null_count: n_unknown.map_or(Precision::Absent, Precision::Exact),
            min_value: exact(self.least),
            max_value: exact(self.most),
            ..ColumnStatistics::new_unknown()
        }
    }
}

/// A bound as a value of its column.
fn scalar(number: i64, kind: &DataType) -> Option<ScalarValue> {
    match kind {
        DataType::Int64 => Some(ScalarValue::Int64(Some(number))),
        DataType::Date32 => Some(ScalarValue::Date32(i32::try_from(number).ok())),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Some(
            ScalarValue::TimestampMicrosecond(Some(number), zone.clone()),
        ),
        _ => None,
    }
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8View(Some(value.to_owned()))
}

fn always(value: &str) -> ColumnStatistics {
    ColumnStatistics {
        null_count: Precision::Exact(0),
        min_value: Precision::Exact(text(value)),
        max_value: Precision::Exact(text(value)),
        ..ColumnStatistics::new_unknown()
    }
}

impl TableProvider for Files {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// An `async fn`, as the library's macro would write it.
    fn scan<'a, 'b, 'c, 'd, 'e>(
        &'a self,
        state: &'b dyn Session,
        projection: Option<&'c Vec<usize>>,
        filters: &'d [Expr],
        limit: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'e>>
    where
        'a: 'e,
        'b: 'e,
        'c: 'e,
        'd: 'e,
    {
        Box::pin(async move { self.plan(state, projection, filters, limit) })
    }

    /// All choose between files; the engine hands them to the reader of their rows itself.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
