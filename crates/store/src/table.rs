//! A result of named, typed columns that writes itself in every format people ask for.
//!
//! Where the rows come from and what they mean do not belong here.

use crate::tables::ColumnKind;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;
use jiff::Timestamp;
use jiff::civil::Date;
use std::io::Write;
use std::sync::Arc;

/// How a [`Table`] is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for a terminal.
    Text,
    /// An array of objects.
    Json,
    /// An object on each line.
    Ndjson,
    /// RFC 4180 with a head line. Text that a spreadsheet would run gets a `'` before it.
    Csv,
    /// Apache Parquet, compressed with zstd.
    Parquet,
}

/// One named column; all columns of a table have the same length.
#[derive(Debug)]
pub struct Column {
    name: String,
    values: ArrayRef,
}

impl Column {
    fn new(name: impl Into<String>, values: ArrayRef) -> Self {
        let name = name.into();
        Self { name, values }
    }

    /// Text; `None` is unknown.
    pub fn text<T: AsRef<str>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = Option<T>>,
    ) -> Self {
        Self::new(name, Arc::new(values.into_iter().collect::<StringArray>()))
    }

    /// Whole numbers; `None` is unknown.
    pub fn integer(name: impl Into<String>, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        Self::new(name, Arc::new(values.into_iter().collect::<Int64Array>()))
    }

    /// Measures; `None` is unknown.
    pub fn real(name: impl Into<String>, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        Self::new(name, Arc::new(values.into_iter().collect::<Float64Array>()))
    }

    /// Moments, to the microsecond; `None` is unknown.
    pub fn time(
        name: impl Into<String>,
        values: impl IntoIterator<Item = Option<Timestamp>>,
    ) -> Self {
        let values = values.into_iter();
        let values: TimestampMicrosecondArray = values
            .map(|time| time.map(Timestamp::as_microsecond))
            .collect();
        Self::new(name, Arc::new(values.with_timezone("UTC")))
    }

    /// Days of a calendar; `None` is unknown.
    pub fn day(name: impl Into<String>, values: impl IntoIterator<Item = Option<Date>>) -> Self {
        let since_1970 = |day: Date| (day - Date::constant(1970, 1, 1)).get_days();
        let days = values.into_iter().map(|day| day.map(since_1970));
        Self::new(name, Arc::new(days.collect::<Date32Array>()))
    }

    /// Yes or no; `None` is unknown.
    pub fn flag(name: impl Into<String>, values: impl IntoIterator<Item = Option<bool>>) -> Self {
        Self::new(name, Arc::new(values.into_iter().collect::<BooleanArray>()))
    }
}

/// Named, typed columns.
#[derive(Debug)]
pub struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// One value of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Unknown.
    Null,
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A measure.
    Real(f64),
    /// A moment.
    Time(Timestamp),
    /// A day of the hub's calendar.
    Day(jiff::civil::Date),
    /// Yes or no.
    Flag(bool),
}

impl Cell {
    fn of(column: &ArrayRef, row: usize) -> Self {
        use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
        if column.is_null(row) {
            return Self::Null;
        }
        match column.data_type() {
            DataType::Int64 => Self::Integer(column.as_primitive::<Int64Type>().value(row)),
            DataType::Float64 => Self::Real(column.as_primitive::<Float64Type>().value(row)),
            DataType::Boolean => Self::Flag(column.as_boolean().value(row)),
            DataType::Date32 => {
                let days = column.as_primitive::<Date32Type>().value(row);
                Self::Day(crate::tables::day_of(days))
            }
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
                let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
                Timestamp::from_microsecond(micros).map_or(Self::Null, Self::Time)
            }
            DataType::Utf8View => Self::Text(column.as_string_view().value(row).to_owned()),
            // Whatever else a query gives, as the library writes it.
            _ => arrow::util::display::array_value_to_string(column, row)
                .map_or(Self::Null, Self::Text),
        }
    }
}

/// Why a table could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The columns have different lengths, or a name stands twice.
    #[error("the columns do not make a table")]
    Columns(#[source] ArrowError),
    /// A value that the format cannot hold, or the output refused it.
    #[error("could not write the table")]
    Write(#[source] ArrowError),
    /// The same for Parquet.
    #[error("could not write the table as Parquet")]
    Parquet(#[source] ParquetError),
}

impl TableError {
    /// The message with its cause.
    pub(crate) fn describe(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

impl Table {
    /// Fails if the columns differ in length.
    pub fn new(columns: Vec<Column>) -> Result<Self, TableError> {
        let columns = columns
            .into_iter()
            .map(|column| (column.name, column.values, true));
        RecordBatch::try_from_iter_with_nullable(columns)
            .map(|batch| Self::of_batches(batch.schema(), vec![batch]))
            .map_err(TableError::Columns)
    }

    /// All batches have the schema.
    pub(crate) fn of_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }

    /// What it is made of.
    pub(crate) fn batches(&self) -> (SchemaRef, &[RecordBatch]) {
        (Arc::clone(&self.schema), &self.batches)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Memory that it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.batches
            .iter()
            .map(RecordBatch::get_array_memory_size)
            .sum()
    }

    /// The columns' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
    }

    /// Name and type of each column; what is no type of a table counts as text.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&str, ColumnKind)> {
        self.schema.fields().iter().map(|field| {
            let kind = match field.data_type() {
                DataType::Int64 => ColumnKind::Integer,
                DataType::Float64 => ColumnKind::Real,
                DataType::Boolean => ColumnKind::Flag,
                DataType::Date32 => ColumnKind::Day,
                // Without a zone it is no moment.
                DataType::Timestamp(_, Some(_)) => ColumnKind::Time,
                _ => ColumnKind::Text,
            };
            (field.name().as_str(), kind)
        })
    }

    /// All rows, cell by cell, in the order of [`Table::names`].
    pub fn rows(&self) -> impl Iterator<Item = Vec<Cell>> + '_ {
        self.batches.iter().flat_map(|batch| {
            (0..batch.num_rows()).map(|row| {
                let columns = batch.columns().iter();
                columns.map(|column| Cell::of(column, row)).collect()
            })
        })
    }

    /// Only the columns that `is_kept` names.
    pub(crate) fn only_columns(&self, is_kept: impl Fn(&str) -> bool) -> Self {
        let kept = self.names().enumerate().filter(|(_, name)| is_kept(name));
        let kept: Vec<usize> = kept.map(|(index, _)| index).collect();
        let fields = kept.iter().map(|index| self.schema.field(*index).clone());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let project = |batch: &RecordBatch| batch.project(&kept).expect("the columns are its own");
        let batches = self.batches.iter().map(project).collect();
        Self { schema, batches }
    }

    /// Only the rows for which `is_kept` holds, by number.
    pub(crate) fn only_rows(&self, is_kept: impl Fn(usize) -> bool) -> Self {
        let filter = |first: usize, batch: &RecordBatch| {
            let rows = first..first + batch.num_rows();
            let rows: BooleanArray = rows.map(|row| Some(is_kept(row))).collect();
            arrow::compute::filter_record_batch(batch, &rows).expect("the filter has its rows")
        };
        Self {
            schema: Arc::clone(&self.schema),
            batches: self.each_batch(filter),
        }
    }

    /// With nothing where `is_emptied` holds, by number of the row and name of the column.
    pub(crate) fn emptied(&self, is_emptied: impl Fn(usize, &str) -> bool) -> Self {
        let fields = self.schema.fields().iter();
        let fields = fields.map(|field| Field::clone(field).with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let empty = |first: usize, batch: &RecordBatch| {
            let named = self.names().zip(batch.columns());
            let columns = named.map(|(name, column)| {
                let rows = first..first + batch.num_rows();
                let rows: BooleanArray = rows.map(|row| Some(is_emptied(row, name))).collect();
                arrow::compute::nullif(column, &rows).expect("the mask has its rows")
            });
            RecordBatch::try_new(Arc::clone(&schema), columns.collect())
                .expect("every column may be empty, and has the type that it had")
        };
        Self {
            batches: self.each_batch(empty),
            schema: Arc::clone(&schema),
        }
    }

    /// Something for each batch, which is told the number of its first row.
    fn each_batch(
        &self,
        mut change: impl FnMut(usize, &RecordBatch) -> RecordBatch,
    ) -> Vec<RecordBatch> {
        let mut first = 0;
        let changed = self.batches.iter().map(|batch| {
            let changed = change(first, batch);
            first += batch.num_rows();
            changed
        });
        changed.collect()
    }

    /// Writes all rows, with a line feed at the end.
    pub fn write(&self, format: Format, output: &mut impl Write) -> Result<(), TableError> {
        let mut writer = Self::writer(format, Arc::clone(&self.schema), output)?;
        for batch in &self.batches {
            writer.write(batch)?;
        }
        writer.finish()
    }

    /// Writes rows as they come.
    pub(crate) fn writer<W: Write>(
        format: Format,
        schema: SchemaRef,
        output: W,
    ) -> Result<TableWriter<W>, TableError> {
        TableWriter::new(format, schema, output)
    }
}

/// Writes batches of one schema, one after another.
pub(crate) enum TableWriter<W: Write> {
    Text(W, SchemaRef, Vec<RecordBatch>),
    Json(Box<arrow::json::ArrayWriter<W>>),
    Ndjson(Box<arrow::json::LineDelimitedWriter<W>>),
    Csv(Box<arrow::csv::Writer<W>>),
    /// What is written lies in the vector until it is handed on: the library wants an output that
    /// can go to another thread, which a locked standard output cannot.
    Parquet(W, Box<ArrowWriter<Vec<u8>>>),
}

impl<W: Write> TableWriter<W> {
    fn new(format: Format, schema: SchemaRef, output: W) -> Result<Self, TableError> {
        // Unknown values are written as null: a key that is missing now and then breaks readers.
        let json = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
        Ok(match format {
            Format::Text => Self::Text(output, schema, Vec::new()),
            Format::Json => Self::Json(Box::new(json.build(output))),
            Format::Ndjson => Self::Ndjson(Box::new(json.build(output))),
            Format::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new()
                    .with_header(true)
                    .build(output);
                // The head line comes with the first batch: an empty result has one too.
                writer
                    .write(&harmless(&RecordBatch::new_empty(schema)).map_err(TableError::Write)?)
                    .map_err(TableError::Write)?;
                Self::Csv(Box::new(writer))
            }
            Format::Parquet => {
                let zstd = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder()
                    .set_compression(zstd)
                    // Bounds what is kept in memory until a group is full.
                    .set_max_row_group_row_count(Some(128 * 1024))
                    .build();
                ArrowWriter::try_new(Vec::new(), schema, Some(properties))
                    .map(|writer| Self::Parquet(output, Box::new(writer)))
                    .map_err(TableError::Parquet)?
            }
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        match self {
            Self::Text(_, _, batches) => {
                batches.push(batch.clone());
                Ok(())
            }
            Self::Json(writer) => writer.write(&in_utc(batch).map_err(TableError::Write)?),
            Self::Ndjson(writer) => writer.write(&in_utc(batch).map_err(TableError::Write)?),
            Self::Csv(writer) => in_utc(batch)
                .and_then(|batch| harmless(&batch))
                .and_then(|batch| writer.write(&batch)),
            Self::Parquet(output, writer) => {
                writer.write(batch).map_err(TableError::Parquet)?;
                let written = std::mem::take(writer.inner_mut());
                output.write_all(&written).map_err(ArrowError::from)
            }
        }
        .map_err(TableError::Write)
    }

    pub(crate) fn finish(self) -> Result<(), TableError> {
        match self {
            Self::Text(output, schema, batches) => write_text(output, &schema, &batches),
            Self::Json(mut writer) => writer
                .finish()
                .and_then(|()| writeln!(writer.into_inner()).map_err(ArrowError::from)),
            Self::Ndjson(mut writer) => writer.finish(),
            Self::Csv(writer) => writer.into_inner().flush().map_err(ArrowError::from),
            Self::Parquet(mut output, writer) => {
                let written = writer.into_inner().map_err(TableError::Parquet)?;
                output
                    .write_all(&written)
                    .and_then(|()| output.flush())
                    .map_err(ArrowError::from)
            }
        }
        .map_err(TableError::Write)
    }
}

fn write_text(
    mut output: impl Write,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<(), ArrowError> {
    let options = FormatOptions::new()
        .with_display_error(true)
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.fZ"));
    // Without a row the columns would be lost.
    let empty = [RecordBatch::new_empty(Arc::clone(schema))];
    let batches = if batches.is_empty() { &empty } else { batches };
    let batches: Vec<_> = batches.iter().map(in_utc).collect::<Result<_, _>>()?;
    let text = arrow::util::pretty::pretty_format_batches_with_options(&batches, &options)?;
    writeln!(output, "{text}").map_err(ArrowError::from)
}

/// Moments are written in UTC, whatever zone the query put them in.
fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    with_columns(batch, |array| match array.data_type() {
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() != "UTC" => {
            let utc = DataType::Timestamp(*unit, Some("UTC".into()));
            arrow::compute::cast(array, &utc).map(Some)
        }
        _ => Ok(None),
    })
}

/// Text that a spreadsheet would take for a formula is marked as text.
fn harmless(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let batch = with_columns(batch, |array| {
        if !matches!(
            array.data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..)
        ) {
            return Ok(None);
        }
        let text = arrow::compute::cast(array, &DataType::Utf8View)?;
        let text = text.as_string_view();
        if !text.iter().flatten().any(is_formula) {
            return Ok(None);
        }
        let marked: StringArray = text.iter().map(|value| value.map(mark_formula)).collect();
        Ok(Some(Arc::new(marked)))
    })?;
    let fields = batch.schema();
    let fields = fields.fields().iter().map(|field| {
        let name = mark_formula(field.name());
        Field::clone(field).with_name(name)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, batch.columns().to_vec())
}

fn is_formula(text: &str) -> bool {
    // Some spreadsheets take the wide ones for the others.
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

fn mark_formula(text: &str) -> String {
    let mark = if is_formula(text) { "'" } else { "" };
    format!("{mark}{text}")
}

/// Columns for which `change` gives something are replaced by it.
fn with_columns(
    batch: &RecordBatch,
    change: impl Fn(&ArrayRef) -> Result<Option<ArrayRef>, ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if let Some(column) = change(column)? {
            let field = Field::clone(field).with_data_type(column.data_type().clone());
            fields.push(Arc::new(field));
            columns.push(column);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> String {
        let table = Table::new(vec![
            Column::text("group", [Some("phy\"sics"), Some("a,b\nc"), None]),
            Column::integer("users", [Some(3), None, Some(0)]),
            Column::real("hours", [Some(1.5), Some(0.0), None]),
        ]);
        let mut output = Vec::new();
        table.unwrap().write(format, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_table_is_aligned_for_a_terminal() {
        insta::assert_snapshot!(written(Format::Text), @r#"
        +----------+-------+-------+
        | group    | users | hours |
        +----------+-------+-------+
        | phy"sics | 3     | 1.5   |
        | a,b      |       | 0.0   |
        | c        |       |       |
        |          | 0     |       |
        +----------+-------+-------+
        "#);
    }

    #[test]
    fn unknown_values_are_null_in_json_and_empty_in_csv() {
        insta::assert_snapshot!(
            written(Format::Json),
            @r#"[{"group":"phy\"sics","users":3,"hours":1.5},{"group":"a,b\nc","users":null,"hours":0.0},{"group":null,"users":0,"hours":null}]"#
        );
        insta::assert_snapshot!(written(Format::Csv), @r#"
        group,users,hours
        "phy""sics",3,1.5
        "a,b
        c",,0.0
        ,0,
        "#);
    }

    fn two_batches(format: Format) -> Vec<u8> {
        let table = |user: &str, at: &str| {
            let table = Table::new(vec![
                Column::text(String::from("user"), [Some(user)]),
                Column::time("at", [Some(at.parse().unwrap())]),
                Column::integer("=n", [Some(-1)]),
            ]);
            table.unwrap().batches.remove(0)
        };
        let batches = vec![
            table("ada", "2026-11-21T09:30:00Z"),
            table("=1+1", "2026-11-21T09:30:00.25Z"),
        ];
        let table = Table::of_batches(batches[0].schema(), batches);
        assert_eq!(table.n_rows(), 2);
        let mut output = Vec::new();
        table.write(format, &mut output).unwrap();
        output
    }

    fn two_batches_as_text(format: Format) -> String {
        String::from_utf8(two_batches(format)).unwrap()
    }

    #[test]
    fn rows_of_several_batches_are_one_table() {
        insta::assert_snapshot!(two_batches_as_text(Format::Text), @r#"
    +------+--------------------------+----+
    | user | at                       | =n |
    +------+--------------------------+----+
    | ada  | 2026-11-21 09:30:00Z     | -1 |
    | =1+1 | 2026-11-21 09:30:00.250Z | -1 |
    +------+--------------------------+----+
    "#);
        insta::assert_snapshot!(two_batches_as_text(Format::Json), @r#"
    [{"user":"ada","at":"2026-11-21T09:30:00Z","=n":-1},{"user":"=1+1","at":"2026-11-21T09:30:00.250Z","=n":-1}]
    "#);
        insta::assert_snapshot!(two_batches_as_text(Format::Ndjson), @r#"
    {"user":"ada","at":"2026-11-21T09:30:00Z","=n":-1}
    {"user":"=1+1","at":"2026-11-21T09:30:00.250Z","=n":-1}
    "#);
    }

    #[test]
    fn a_spreadsheet_runs_no_text_but_keeps_numbers() {
        insta::assert_snapshot!(two_batches_as_text(Format::Csv), @r#"
    user,at,'=n
    ada,2026-11-21T09:30:00Z,-1
    '=1+1,2026-11-21T09:30:00.250Z,-1
    "#);
        for text in ["+1", "-1", "@a", "\tb", "\rc", "=d"] {
            assert_eq!(mark_formula(text), format!("'{text}"));
        }
        for text in ["", "a=b", " =1", "1-2"] {
            assert_eq!(mark_formula(text), text);
        }
    }

    #[test]
    fn parquet_holds_the_same_rows() {
        use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReader;
        let written = bytes_of(&two_batches(Format::Parquet));
        let read: Vec<_> = ParquetRecordBatchReader::try_new(written, 1024)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut output = Vec::new();
        let table = Table::of_batches(read[0].schema(), read);
        table.write(Format::Csv, &mut output).unwrap();
        assert_eq!(output, two_batches(Format::Csv));
    }

    /// The reader takes files and the bytes of a crate that is not ours.
    fn bytes_of(content: &[u8]) -> std::fs::File {
        use std::io::{Seek as _, Write as _};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_table_without_rows_still_has_its_head() {
        let table = Table::new(vec![Column::text::<&str>("user", [])]).unwrap();
        let written = |format| {
            let mut output = Vec::new();
            table.write(format, &mut output).unwrap();
            String::from_utf8(output).unwrap()
        };
        assert_eq!(written(Format::Csv), "user\n");
        assert_eq!(written(Format::Json), "[]\n");
        assert_eq!(written(Format::Ndjson), "");
        assert!(written(Format::Text).contains("user"));
        let none = Table::of_batches(Arc::clone(&table.schema), vec![]);
        let mut output = Vec::new();
        none.write(Format::Csv, &mut output).unwrap();
        assert_eq!(output, b"user\n");
    }

    #[test]
    fn columns_rows_and_cells_are_taken_away() {
        let table = |users: &[(&str, i64)]| {
            let table = Table::new(vec![
                Column::text("user", users.iter().map(|(user, _)| Some(*user))),
                Column::integer("n", users.iter().map(|(_, n)| Some(*n))),
            ]);
            table.unwrap().batches.remove(0)
        };
        let batches = vec![table(&[("ada", 1), ("ben", 2)]), table(&[("cy", 3)])];
        let table = Table::of_batches(batches[0].schema(), batches);
        let written = |table: &Table| {
            let mut output = Vec::new();
            table.write(Format::Csv, &mut output).unwrap();
            String::from_utf8(output).unwrap()
        };
        assert_eq!(
            written(&table.only_columns(|name| name == "n")),
            "n\n1\n2\n3\n"
        );
        assert_eq!(
            written(&table.only_rows(|row| row != 1)),
            "user,n\nada,1\ncy,3\n"
        );
        let emptied = table.emptied(|row, name| row > 0 && name == "n");
        assert_eq!(written(&emptied), "user,n\nada,1\nben,\ncy,\n");
        assert_eq!(written(&table.only_rows(|_| false)), "user,n\n");
    }

    #[test]
    fn columns_of_different_lengths_make_no_table() {
        let columns = vec![Column::integer("a", [Some(1)]), Column::integer("b", [])];
        assert!(matches!(Table::new(columns), Err(TableError::Columns(_))));
    }
}
