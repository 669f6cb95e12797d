//! The tables of the history: one file each, with the row, its columns and what they mean.
//!
//! The definitions make the Arrow and Delta schemas, `docs/history.md`, the help of `sql` and
//! the demo's writer. How rows get there ([`crate::spool`], [`crate::history`]) does not belong
//! here.

pub mod audit;
pub mod dead_letters;
pub mod events;
pub mod memberships;
pub mod observations;
pub mod sessions;
pub mod storage;
pub mod usage;
pub mod user_days;

pub use audit::Audit;
pub use dead_letters::DeadLetter;
pub use events::Event;
pub use memberships::Membership;
pub use observations::Observation;
pub use sessions::Session;
pub use storage::Storage;
pub use usage::Usage;
pub use user_days::UserDay;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// All tables, in the order of the documentation.
pub static TABLES: &[&TableDef] = &[
    &events::TABLE,
    &memberships::TABLE,
    &sessions::TABLE,
    &user_days::TABLE,
    &observations::TABLE,
    &usage::TABLE,
    &storage::TABLE,
    &dead_letters::TABLE,
    &audit::TABLE,
];

/// Column that every table is partitioned by beside `hub`: the UTC month of its time column.
pub const MONTH: &str = "month";
/// Column that names the hub a row is about.
pub const HUB: &str = "hub";

/// One table of the history.
#[derive(Debug)]
pub struct TableDef {
    /// Its name in SQL and its folder's.
    pub name: &'static str,
    /// What one row is.
    pub doc: &'static str,
    /// In the order of the files; the partition columns `hub` and `month` come last.
    pub columns: &'static [ColumnDef],
    /// The column that places a row in time: its month is the partition, its age decides about
    /// retention.
    pub time: &'static str,
    /// Whether a row may be corrected.
    pub kind: RowKind,
    /// Whether `store rebuild` can make it again from other tables.
    pub origin: Origin,
}

/// Whether a row may be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Written once; the same `id` again is the same row.
    Final,
    /// Of the rows with one `id` the one with the highest `revision` counts.
    Revised,
}

/// Where rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Collected; gone is gone.
    Collected,
    /// Made from `events` (and from `usage`, `storage`); can be made again.
    Derived,
}

/// One column.
#[derive(Debug)]
pub struct ColumnDef {
    /// Its name in SQL and in the files.
    pub name: &'static str,
    /// What a value is.
    pub kind: ColumnKind,
    /// Whether a value may be unknown.
    pub presence: Presence,
    /// What it means, with the unit.
    pub doc: &'static str,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text that names nobody.
    Text,
    /// Text that names or may name a person: never in the log's statistics, rewritten on erasure.
    Name,
    /// JSON as text; may name a person.
    Json,
    /// 64-bit signed.
    Integer,
    /// 64-bit float.
    Real,
    /// Microseconds since 1970, UTC.
    Time,
    /// A day of the hub's calendar.
    Day,
    /// True or false.
    Flag,
}

/// Whether a value may be unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Always known.
    Always,
    /// `null` is unknown, never zero.
    Maybe,
}

impl ColumnDef {
    /// A column whose values are always known.
    pub const fn always(name: &'static str, kind: ColumnKind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            presence: Presence::Always,
            doc,
        }
    }

    /// A column whose values may be unknown.
    pub const fn maybe(name: &'static str, kind: ColumnKind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            presence: Presence::Maybe,
            doc,
        }
    }

    fn field(&self) -> Field {
        let nullable = self.presence == Presence::Maybe;
        Field::new(self.name, self.kind.arrow(), nullable)
    }

    /// Whether its smallest and largest value may stand in the log for data skipping.
    pub(crate) fn is_in_statistics(&self) -> bool {
        matches!(
            self.kind,
            ColumnKind::Time | ColumnKind::Day | ColumnKind::Integer | ColumnKind::Real
        )
    }
}

impl ColumnKind {
    /// For documentation: the type as SQL names it.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Text | Self::Name => "text",
            Self::Json => "text (JSON)",
            Self::Integer => "bigint",
            Self::Real => "double",
            Self::Time => "timestamp (UTC)",
            Self::Day => "date",
            Self::Flag => "boolean",
        }
    }

    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Name | Self::Json => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Real => DataType::Float64,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Day => DataType::Date32,
            Self::Flag => DataType::Boolean,
        }
    }
}

/// The last two columns of every table.
pub static PARTITION_COLUMNS: [ColumnDef; 2] = [
    ColumnDef::always(HUB, ColumnKind::Text, "Name of the hub; a partition."),
    ColumnDef::always(
        MONTH,
        ColumnKind::Text,
        "UTC month of the row's time, as `2026-11`; a partition.",
    ),
];

impl TableDef {
    /// All columns, the partition columns last.
    pub fn all_columns(&self) -> impl Iterator<Item = &'static ColumnDef> {
        self.columns.iter().chain(&PARTITION_COLUMNS)
    }

    /// The schema of what the table gives, partition columns last.
    pub(crate) fn schema(&self) -> SchemaRef {
        let fields = self.all_columns().map(ColumnDef::field);
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The table of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        TABLES.iter().copied().find(|table| table.name == name)
    }
}

/// A row of one of the tables.
///
/// It is written as named values: a field per column, times as microseconds, days as days since
/// 1970, and the two partition columns.
pub trait Row: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug {
    /// The table it belongs to.
    const TABLE: &'static TableDef;
    /// Tells it from all other rows; the same input gives the same id.
    fn id(&self) -> &RowId;
    /// 0 for rows that are never corrected.
    fn revision(&self) -> i64;
    /// The value of [`TableDef::time`].
    fn time(&self) -> Timestamp;
}

/// Tells a row from all others: 32 hexadecimal digits.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct RowId(Arc<str>);

impl RowId {
    /// The first 128 bits of the SHA-256 of the parts, each with its length before it, so that no
    /// two lists of parts run together.
    pub fn of(parts: &[&str]) -> Self {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self::of_bytes(&hash.finalize()[..16])
    }

    /// A random one.
    pub fn random() -> Self {
        Self::of_bytes(&rand::random::<[u8; 16]>())
    }

    /// These bytes as digits.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        // Without the formatter, which takes longer than the hash.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
        let digits = bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        let mut text = String::with_capacity(32);
        text.extend(digits);
        Self(text.into())
    }

    /// The id as it stands in the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RowId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// The partition that a time falls into: its UTC month, as `2026-11`.
pub fn month_of(time: Timestamp) -> String {
    let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
    format!("{:04}-{:02}", date.year(), date.month())
}

/// The partition of a day is its calendar month, whatever the zone.
fn start_in_utc(day: jiff::civil::Date) -> Timestamp {
    day.to_zoned(jiff::tz::TimeZone::UTC)
        .map_or(Timestamp::UNIX_EPOCH, |midnight| midnight.timestamp())
}

/// The partition of a day.
pub(crate) fn month_of_day(day: model::days::Day) -> String {
    month_of(start_in_utc(day.date()))
}

/// The day that is so many days after the first of 1970, as it stands in batches.
pub(crate) fn day_of(days_since_1970: i32) -> jiff::civil::Date {
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    let since = jiff::Span::new().try_days(days_since_1970);
    since.map_or(epoch, |since| epoch.saturating_add(since))
}

/// Rows as one batch with the table's schema.
pub(crate) fn batch_of<R: Row>(rows: &[R]) -> Result<RecordBatch, RowsError> {
    let schema = R::TABLE.schema();
    // The month is the last column and the only one that rows do not carry.
    let own = schema.fields().len() - 1;
    let batch = serde_arrow::to_record_batch(&schema.fields()[..own], &rows)
        .map_err(|error| RowsError(error.into()))?;
    let months: StringArray = rows.iter().map(|row| Some(month_of(row.time()))).collect();
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(months));
    RecordBatch::try_new(schema, columns).map_err(|error| RowsError(error.into()))
}

/// The rows of a batch that has at least the table's columns.
pub(crate) fn rows_of<R: Row>(batch: &RecordBatch) -> Result<Vec<R>, RowsError> {
    serde_arrow::from_record_batch(batch).map_err(|error| RowsError(error.into()))
}

/// Rows and table do not fit each other: a bug, or a file that somebody else wrote.
#[derive(Debug, thiserror::Error)]
#[error("rows do not fit their table")]
pub(crate) struct RowsError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Times in rows: microseconds since 1970.
pub(crate) mod micros {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_i64(time.as_microsecond())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_microsecond(i64::deserialize(input)?).map_err(D::Error::custom)
    }

    /// The same for times that may be unknown.
    pub(crate) mod maybe {
        use jiff::Timestamp;
        use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

        #[expect(clippy::ref_option, reason = "serde asks for it")]
        pub(crate) fn serialize<S: Serializer>(
            time: &Option<Timestamp>,
            out: S,
        ) -> Result<S::Ok, S::Error> {
            time.map(Timestamp::as_microsecond).serialize(out)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            input: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Option::<i64>::deserialize(input)?
                .map(Timestamp::from_microsecond)
                .transpose()
                .map_err(D::Error::custom)
        }
    }
}

/// Days in rows: days since 1970.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
pub(crate) mod days {
    use jiff::civil::Date;
    use jiff::{ToSpan as _, Unit};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const EPOCH: Date = Date::constant(1970, 1, 1);

    pub(crate) fn serialize<S: Serializer>(day: &Date, out: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let since = EPOCH.until((Unit::Day, *day)).map_err(S::Error::custom)?;
        out.serialize_i32(since.get_days())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Date, D::Error> {
        let days = i32::deserialize(input)?;
        EPOCH.checked_add(days.days()).map_err(D::Error::custom)
    }
}
