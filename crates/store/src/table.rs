//! A result of named, typed columns that writes itself in every format people ask for.
//!
//! Where the rows come from and what they mean do not belong here.

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::error::ArrowError;
use std::io::Write;
use std::sync::Arc;

/// How a [`Table`] is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for a terminal.
    Text,
    /// An array of objects.
    Json,
    /// RFC 4180 with a head line.
    Csv,
}

/// One named column; all columns of a table have the same length.
#[derive(Debug)]
pub struct Column {
    name: &'static str,
    values: ArrayRef,
}

impl Column {
    /// Text; `None` is unknown.
    pub fn text<T: AsRef<str>>(
        name: &'static str,
        values: impl IntoIterator<Item = Option<T>>,
    ) -> Self {
        Self {
            name,
            values: Arc::new(values.into_iter().collect::<StringArray>()),
        }
    }

    /// Whole numbers; `None` is unknown.
    pub fn integer(name: &'static str, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        Self {
            name,
            values: Arc::new(values.into_iter().collect::<Int64Array>()),
        }
    }

    /// Measures; `None` is unknown.
    pub fn real(name: &'static str, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        Self {
            name,
            values: Arc::new(values.into_iter().collect::<Float64Array>()),
        }
    }
}

/// Named, typed columns.
#[derive(Debug)]
pub struct Table {
    batch: RecordBatch,
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
}

impl Table {
    /// Fails if the columns differ in length.
    pub fn new(columns: Vec<Column>) -> Result<Self, TableError> {
        let columns = columns
            .into_iter()
            .map(|column| (column.name, column.values, true));
        RecordBatch::try_from_iter_with_nullable(columns)
            .map(|batch| Self { batch })
            .map_err(TableError::Columns)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Writes all rows, with a line feed at the end.
    pub fn write(&self, format: Format, output: &mut impl Write) -> Result<(), TableError> {
        match format {
            Format::Text => self.write_text(output),
            Format::Json => self.write_json(output),
            Format::Csv => self.write_csv(output),
        }
        .map_err(TableError::Write)
    }

    fn write_text(&self, output: &mut impl Write) -> Result<(), ArrowError> {
        let text = arrow::util::pretty::pretty_format_batches(std::slice::from_ref(&self.batch))?;
        writeln!(output, "{text}").map_err(ArrowError::from)
    }

    fn write_json(&self, output: &mut impl Write) -> Result<(), ArrowError> {
        // Unknown values are written as null: a key that is missing now and then breaks readers.
        let mut writer = arrow::json::WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, arrow::json::writer::JsonArray>(&mut *output);
        writer.write(&self.batch)?;
        writer.finish()?;
        drop(writer);
        writeln!(output).map_err(ArrowError::from)
    }

    fn write_csv(&self, output: &mut impl Write) -> Result<(), ArrowError> {
        arrow::csv::WriterBuilder::new()
            .with_header(true)
            .build(output)
            .write(&self.batch)
    }
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

    #[test]
    fn columns_of_different_lengths_make_no_table() {
        let columns = vec![Column::integer("a", [Some(1)]), Column::integer("b", [])];
        assert!(matches!(Table::new(columns), Err(TableError::Columns(_))));
    }
}
