//! The data files of a table: which there are, and what is in them.

use super::{HistoryError, HistoryTable};
use crate::query::{Bounds, RowsFile};
use crate::tables::{ColumnDef, ColumnKind, HUB, MONTH, TableDef};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::error::ArrowError;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
};
use deltalake_core::kernel::LogicalFileView;
use deltalake_core::kernel::Remove;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows that are rewritten together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Partition {
    /// The hub.
    pub(crate) hub: String,
    /// As `2026-11`.
    pub(crate) month: String,
}

/// When the rows of a file begin and end, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// Logs may cut times to milliseconds.
const SLACK: i64 = 1_000;

/// One active data file.
#[derive(Clone)]
pub(crate) struct DataFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Which rows it holds.
    pub(crate) partition: Partition,
    /// Bytes.
    pub(crate) size: u64,
    /// When it was written by the clock of the system, in milliseconds since 1970.
    pub(crate) written: i64,
    /// Rows, if the log says so.
    pub(crate) n_rows: Option<u64>,
    pub(super) view: LogicalFileView,
}

impl DataFile {
    fn of(view: LogicalFileView, folder: &Path) -> Self {
        let values = view.partition_values_map();
        let value = |name: &str| values.get(name).cloned().flatten().unwrap_or_default();
        Self {
            path: folder.join(view.object_store_path().as_ref()),
            partition: Partition {
                hub: value(HUB),
                month: value(MONTH),
            },
            size: view.size().unsigned_abs(),
            written: view.modification_time(),
            n_rows: view.num_records().map(|n_rows| n_rows as u64),
            view,
        }
    }

    /// Between which times its rows lie, if the log says so; a little more than they do.
    pub(crate) fn times(&self, def: &TableDef) -> Option<Times> {
        let statistics = self.statistics()?;
        let first = micros(&statistics["minValues"][def.time])?;
        let last = micros(&statistics["maxValues"][def.time])?;
        Some(Times {
            first: first.saturating_sub(SLACK),
            last: last.saturating_add(SLACK),
        })
    }

    /// For queries.
    pub(crate) fn rows_file(&self, def: &TableDef) -> RowsFile {
        let statistics = self.statistics().unwrap_or_default();
        let bounds = def.columns.iter();
        let bounds = bounds.filter_map(|column| bounds_of(column, &statistics));
        RowsFile {
            path: self.path.clone(),
            hub: self.partition.hub.clone(),
            month: self.partition.month.clone(),
            size: self.size,
            written: self.written,
            n_rows: self.n_rows,
            bounds: bounds.collect(),
        }
    }

    /// What the log says of its columns.
    fn statistics(&self) -> Option<Value> {
        serde_json::from_str(&self.view.stats()?).ok()
    }

    /// The lowest and the highest revision of its rows, if the log says so.
    pub(crate) fn revisions(&self) -> Option<[i64; 2]> {
        let statistics = self.statistics()?;
        let bound = |name: &str| statistics[name]["revision"].as_i64();
        Some([bound("minValues")?, bound("maxValues")?])
    }

    pub(super) fn removal(&self, data_change: bool) -> Remove {
        self.view.remove_action(data_change)
    }

    /// Its rows with all columns of this version of the table, partition columns last.
    pub(crate) fn read(&self, def: &TableDef) -> Result<Vec<RecordBatch>, HistoryError> {
        let batches = self.open(None)?.map(|batch| {
            let batch = batch.map_err(|error| self.damaged(error))?;
            whole(&batch, def, &self.partition).map_err(|error| self.damaged(error))
        });
        batches.collect()
    }

    /// The same for some of its rows: of the others only the columns are read that tell which
    /// are wanted.
    pub(crate) fn read_where(
        &self,
        def: &TableDef,
        names: &[&str],
        is_wanted: impl FnMut(RecordBatch) -> Result<BooleanArray, ArrowError> + Send + 'static,
    ) -> Result<Vec<RecordBatch>, HistoryError> {
        let builder = self.builder()?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
        let wanted = RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask, is_wanted))]);
        let reader = builder.with_row_filter(wanted).build();
        let batches = reader.map_err(|error| self.damaged(error))?.map(|batch| {
            let batch = batch.map_err(|error| self.damaged(error))?;
            whole(&batch, def, &self.partition).map_err(|error| self.damaged(error))
        });
        batches.collect()
    }

    /// Some of its columns, as text, numbers and times of the table.
    pub(crate) fn read_columns(
        &self,
        def: &TableDef,
        names: &[&str],
    ) -> Result<Vec<RecordBatch>, HistoryError> {
        let batches = self.open(Some(names))?;
        self.typed(def, names, batches)
    }

    /// The same for some of its rows; `by` names the columns that tell which are wanted.
    pub(crate) fn read_columns_where(
        &self,
        def: &TableDef,
        names: &[&str],
        by: &[&str],
        is_wanted: impl FnMut(RecordBatch) -> Result<BooleanArray, ArrowError> + Send + 'static,
    ) -> Result<Vec<RecordBatch>, HistoryError> {
        let builder = self.builder()?;
        let schema = builder.parquet_schema();
        let mask = ProjectionMask::columns(schema, by.iter().copied());
        let columns = ProjectionMask::columns(schema, names.iter().copied());
        let wanted = RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask, is_wanted))]);
        let builder = builder.with_projection(columns).with_row_filter(wanted);
        let batches = builder.build().map_err(|error| self.damaged(error))?;
        self.typed(def, names, batches)
    }

    /// The columns in this order, with the types of the table.
    fn typed(
        &self,
        def: &TableDef,
        names: &[&str],
        batches: ParquetRecordBatchReader,
    ) -> Result<Vec<RecordBatch>, HistoryError> {
        let schema = def.schema();
        let batches = batches.map(|batch| {
            let batch = batch.map_err(|error| self.damaged(error))?;
            let columns = names.iter().map(|name| {
                let kind = schema.field_with_name(name)?.data_type();
                let column = batch.column_by_name(name).ok_or_else(|| {
                    arrow::error::ArrowError::SchemaError(format!("the column `{name}` is missing"))
                })?;
                Ok((*name, cast(column, kind)?, true))
            });
            let columns = columns.collect::<Result<Vec<_>, _>>();
            let batch = columns.and_then(RecordBatch::try_from_iter_with_nullable);
            batch.map_err(|error| self.damaged(error))
        });
        batches.collect()
    }

    fn builder(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, HistoryError> {
        let file = File::open(&self.path).map_err(|source| HistoryError::File {
            path: self.path.clone(),
            source,
        })?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file);
        Ok(builder
            .map_err(|error| self.damaged(error))?
            .with_batch_size(8192))
    }

    fn open(&self, names: Option<&[&str]>) -> Result<ParquetRecordBatchReader, HistoryError> {
        let mut builder = self.builder()?;
        if let Some(names) = names {
            let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
            builder = builder.with_projection(mask);
        }
        builder.build().map_err(|error| self.damaged(error))
    }

    fn damaged(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> HistoryError {
        HistoryError::Damaged {
            path: self.path.clone(),
            source: source.into(),
        }
    }
}

/// What the log says of a column; `None` of one that it is not asked about.
fn bounds_of(column: &ColumnDef, statistics: &Value) -> Option<Bounds> {
    let [least, most] = ["minValues", "maxValues"].map(|bound| &statistics[bound][column.name]);
    let (least, most) = match column.kind {
        ColumnKind::Time => (
            micros(least).map(|micros| micros.saturating_sub(SLACK)),
            micros(most).map(|micros| micros.saturating_add(SLACK)),
        ),
        ColumnKind::Day => (day(least), day(most)),
        ColumnKind::Integer => (least.as_i64(), most.as_i64()),
        ColumnKind::Text
        | ColumnKind::Name
        | ColumnKind::Json
        | ColumnKind::Real
        | ColumnKind::Flag => {
            return None;
        }
    };
    Some(Bounds {
        column: column.name,
        least,
        most,
        n_unknown: statistics["nullCount"][column.name].as_u64(),
    })
}

/// Days since 1970.
fn day(value: &Value) -> Option<i64> {
    const DAY: i64 = 86_400_000_000;
    Some(micros(value)?.div_euclid(DAY))
}

fn micros(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let time = text.parse::<Timestamp>().ok();
    let time = time.or_else(|| day().map(|midnight| midnight.timestamp()));
    time.map(Timestamp::as_microsecond)
}

/// Puts back the partition columns, which files leave out, and columns that the file's version did
/// not have.
fn whole(
    batch: &RecordBatch,
    def: &TableDef,
    partition: &Partition,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let schema = def.schema();
    let n_rows = batch.num_rows();
    let constant = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; n_rows])) };
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            HUB => Ok(constant(&partition.hub)),
            MONTH => Ok(constant(&partition.month)),
            name => match batch.column_by_name(name) {
                Some(column) => cast(column, field.data_type()),
                None => Ok(new_null_array(field.data_type(), n_rows)),
            },
        });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema, columns)
}

impl HistoryTable {
    /// All active files, in a fixed order.
    pub(crate) async fn files(&self) -> Result<Vec<DataFile>, HistoryError> {
        let views: Vec<LogicalFileView> = self
            .delta
            .get_active_add_actions_by_predicate(None)
            .try_collect()
            .await
            .map_err(|error| HistoryError::delta(self.def, error))?;
        let mut files: Vec<DataFile> = views
            .into_iter()
            .map(|view| DataFile::of(view, &self.folder))
            .collect();
        files.sort_by(|left, right| {
            (&left.partition, &left.path).cmp(&(&right.partition, &right.path))
        });
        Ok(files)
    }
}
