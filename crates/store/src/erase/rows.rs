//! Rows without the name: as batches of the history and as the spool's lines.

use super::person::{Person, Whose};
use crate::derive::{session_id, user_day_id};
use crate::tables::{ColumnDef, ColumnKind, RowId, RowKind, TableDef, sessions, user_days};
use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Columns of other people's words; their columns' kind does not tell.
const FREE_TEXT: [(&str, &str); 3] = [
    ("dead_letters", "text"),
    ("dead_letters", "reason"),
    ("audit", "what"),
];
/// A choice that is no JSON.
const CHOICES: [(&str, &str); 1] = [("sessions", "image")];

/// Takes the name out of rows of one table.
pub(super) struct Cleaner<'a> {
    def: &'static TableDef,
    hub: &'a str,
    person: &'a Person,
    /// All revisions of a row keep one id.
    new_ids: HashMap<String, RowId>,
    /// Old ids of other people's rows that named the person: nothing but the id would keep them
    /// from coming back. The person's own rows are refused by a digest of the name.
    pub(super) refused_ids: BTreeSet<String>,
    /// Rows that named the person.
    pub(super) n_rows: usize,
}

/// One row, wherever it stands.
trait Fields {
    fn text(&self, column: &str) -> Option<&str>;
    fn time(&self, column: &str) -> Option<Timestamp>;
    fn day(&self, column: &str) -> Option<Date>;
}

/// What changes in a row.
type Changes = Vec<(&'static str, String)>;

impl<'a> Cleaner<'a> {
    pub(super) fn new(def: &'static TableDef, hub: &'a str, person: &'a Person) -> Self {
        Self {
            def,
            hub,
            person,
            new_ids: HashMap::new(),
            refused_ids: BTreeSet::new(),
            n_rows: 0,
        }
    }

    /// The rows without the name; `None` if it is in none of them.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        let mut by_column: HashMap<&str, HashMap<usize, String>> = HashMap::new();
        for row in 0..batch.num_rows() {
            for (column, value) in self.changes(&BatchRow { batch, row }) {
                by_column.entry(column).or_default().insert(row, value);
            }
        }
        if by_column.is_empty() {
            return Ok(None);
        }
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(
            |(field, column)| match by_column.get(field.name().as_str()) {
                Some(changed) => with_changes(column, changed),
                None => Arc::clone(column),
            },
        );
        Ok(Some(RecordBatch::try_new(
            schema.clone(),
            columns.collect(),
        )?))
    }

    /// The spool's line without the name; `None` if it does not hold it.
    pub(super) fn line(&mut self, line: &str) -> Result<Option<Line>, serde_json::Error> {
        let mut row: Map<String, Value> = serde_json::from_str(line)?;
        let whose = self.whose(&row);
        let changes = self.changes(&row);
        if changes.is_empty() {
            return Ok(None);
        }
        for (column, value) in changes {
            row.insert(column.to_owned(), Value::String(value));
        }
        Ok(Some(Line {
            whose,
            text: Value::Object(row).to_string(),
        }))
    }

    fn changes(&mut self, row: &impl Fields) -> Changes {
        let whose = self.whose(row);
        let columns = self.def.columns.iter();
        let mut changes: Changes = columns
            .filter_map(|column| {
                let value = row.text(column.name)?;
                Some((column.name, self.value(column, value, whose, row)?))
            })
            .collect();
        if changes.is_empty() {
            return changes;
        }
        self.n_rows += 1;
        if let Some(old) = row.text("id")
            && let Some(new) = self.new_id(old, whose, row)
        {
            changes.push(("id", new.as_str().to_owned()));
        }
        changes
    }

    /// A server may bear any name, so that its column does not say whose the row is.
    fn whose(&self, row: &impl Fields) -> Whose {
        let mut names = self
            .def
            .columns
            .iter()
            .filter(|column| column.kind == ColumnKind::Name && column.name != "server");
        let is_own = names.any(|column| {
            row.text(column.name)
                .is_some_and(|name| self.person.is(name))
        });
        if is_own { Whose::Own } else { Whose::Other }
    }

    fn value(
        &self,
        column: &ColumnDef,
        value: &str,
        whose: Whose,
        row: &impl Fields,
    ) -> Option<String> {
        let place = (self.def.name, column.name);
        if FREE_TEXT.contains(&place) {
            return self.person.without_in_text(value);
        }
        if CHOICES.contains(&place) {
            return self.person.without_in_choice(value, whose);
        }
        match (column.kind, place) {
            (ColumnKind::Name, (_, "server")) if whose == Whose::Other => None,
            (ColumnKind::Name, _) => self
                .person
                .is(value)
                .then(|| self.person.pseudonym().as_str().to_owned()),
            (ColumnKind::Json, ("events", _)) => {
                let kind = row.text("kind").unwrap_or_default();
                self.person.without_in_detail(kind, value, whose)
            }
            (ColumnKind::Json, ("sessions", _)) => self.person.without_in_options(value, whose),
            (ColumnKind::Json, _) => self.person.without_in_json(value, whose),
            _ => None,
        }
    }

    /// Derived rows get the ids that deriving them again would give. What is revised and not the
    /// person's keeps its id, which tells of somebody else.
    fn new_id(&mut self, old: &str, whose: Whose, row: &impl Fields) -> Option<RowId> {
        if whose == Whose::Other {
            if self.def.kind == RowKind::Revised {
                return None;
            }
            self.refused_ids.insert(old.to_owned());
            return Some(RowId::random());
        }
        let pseudonym = self.person.pseudonym().as_str();
        if self.def.name == sessions::TABLE.name
            && let (Some(server), Some(started)) = (row.text("server"), row.time("started"))
        {
            let server = if self.person.is(server) {
                pseudonym
            } else {
                server
            };
            return Some(session_id(self.hub, pseudonym, server, started));
        }
        if self.def.name == user_days::TABLE.name
            && let Some(day) = row.day("day")
        {
            return Some(user_day_id(self.hub, pseudonym, day));
        }
        let new = self.new_ids.entry(old.to_owned());
        Some(new.or_insert_with(RowId::random).clone())
    }
}

/// A line of the spool without the name.
pub(super) struct Line {
    pub(super) whose: Whose,
    pub(super) text: String,
}

fn with_changes(column: &ArrayRef, changed: &HashMap<usize, String>) -> ArrayRef {
    let values = column.as_string::<i32>();
    let values: StringArray = (0..values.len())
        .map(|row| match changed.get(&row) {
            Some(value) => Some(value.as_str()),
            None => values.is_valid(row).then(|| values.value(row)),
        })
        .collect();
    Arc::new(values)
}

fn day_of(since_1970: i32) -> Option<Date> {
    Date::constant(1970, 1, 1)
        .checked_add(since_1970.days())
        .ok()
}

struct BatchRow<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl BatchRow<'_> {
    fn column(&self, name: &str) -> Option<&ArrayRef> {
        let column = self.batch.column_by_name(name)?;
        column.is_valid(self.row).then_some(column)
    }
}

impl Fields for BatchRow<'_> {
    fn text(&self, column: &str) -> Option<&str> {
        let values = self.column(column)?.as_string_opt::<i32>()?;
        Some(values.value(self.row))
    }

    fn time(&self, column: &str) -> Option<Timestamp> {
        let values = self
            .column(column)?
            .as_primitive_opt::<TimestampMicrosecondType>()?;
        Timestamp::from_microsecond(values.value(self.row)).ok()
    }

    fn day(&self, column: &str) -> Option<Date> {
        let values = self.column(column)?.as_primitive_opt::<Date32Type>()?;
        day_of(values.value(self.row))
    }
}

impl Fields for Map<String, Value> {
    fn text(&self, column: &str) -> Option<&str> {
        self.get(column)?.as_str()
    }

    fn time(&self, column: &str) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.get(column)?.as_i64()?).ok()
    }

    fn day(&self, column: &str) -> Option<Date> {
        day_of(i32::try_from(self.get(column)?.as_i64()?).ok()?)
    }
}
