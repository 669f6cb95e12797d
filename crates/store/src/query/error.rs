//! Why a query has no result, and what its reader can do about it.
//!
//! The library's own errors are long, name its inner parts and repeat themselves: here they
//! become one sentence.

use crate::TableError;
use datafusion::common::{Column, DataFusionError, SchemaError};
use std::fmt;

/// Why a query has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is no query over what there is: a typing error, an unknown table or column.
    #[error("{0}")]
    Syntax(String),
    /// A query that this engine never runs.
    #[error("{what} is not allowed: {hint}")]
    NotAllowed {
        /// What was asked for.
        what: String,
        /// What to write instead.
        hint: String,
    },
    /// It ran for too long and was stopped.
    #[error("the query took longer than {seconds} s: ask for a shorter period or fewer columns")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// It needed more than it may have.
    #[error("the query needs too much: {what}")]
    TooLarge {
        /// What there was not enough of.
        what: Resource,
    },
    /// Too many queries wait already: ask again in some seconds.
    #[error("too many queries are waiting: try again in a few seconds")]
    Busy,
    /// A file of the history is gone, cut off or overwritten.
    #[error(
        "a file of the history cannot be read: {0}; `store verify` says which and what can be done"
    )]
    Damaged(String),
    /// It failed while it ran.
    #[error("the query failed: {0}")]
    Failed(String),
}

/// What a query can need too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Memory of all running queries together.
    Memory,
    /// Rows of the result.
    Rows(usize),
    /// Room for temporary files.
    Spill,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("more memory than queries may take"),
            Self::Rows(limit) => write!(f, "more than {limit} rows; add a `limit`, or group them"),
            Self::Spill => f.write_str("more room for temporary files than queries may take"),
        }
    }
}

impl From<TableError> for QueryError {
    fn from(error: TableError) -> Self {
        Self::Failed(error.describe())
    }
}

impl QueryError {
    pub(super) fn not_allowed(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::NotAllowed {
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// How this error travels through the library, which knows only its own.
    pub(super) fn into_library(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        match &error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                of_reference(inner)
            }
            other => of_reference(other),
        }
    }
}

fn of_reference(error: &DataFusionError) -> QueryError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            of_reference(inner)
        }
        DataFusionError::Shared(inner) => of_reference(inner),
        DataFusionError::Collection(errors) => errors.first().map_or_else(
            || QueryError::Failed("no reason given".into()),
            of_reference,
        ),
        DataFusionError::External(inner) => of_foreign(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            arrow::error::ArrowError::ExternalError(inner) => of_foreign(inner.as_ref()),
            other => of_message(&other.to_string()),
        },
        DataFusionError::ResourcesExhausted(message) => too_large(message),
        DataFusionError::SchemaError(inner, _) => QueryError::Syntax(of_schema(inner)),
        DataFusionError::SQL(inner, _) => QueryError::Syntax(sentence(&inner.to_string())),
        DataFusionError::Plan(message) => of_plan(message),
        DataFusionError::NotImplemented(message) => {
            // The rest of these messages prints trees.
            let what = message.split([':', '.']).next().unwrap_or_default();
            QueryError::not_allowed(sentence(what), "this engine cannot do it")
        }
        other => of_message(&other.strip_backtrace()),
    }
}

/// What the library says of the limit on temporary files.
const FULL: &str = "used disk space";

fn too_large(message: &str) -> QueryError {
    let what = if message.contains(FULL) {
        Resource::Spill
    } else {
        Resource::Memory
    };
    QueryError::TooLarge { what }
}

fn of_plan(message: &str) -> QueryError {
    match sentence(message).strip_prefix("Invalid function '") {
        Some(rest) => {
            let name = rest.split('\'').next().unwrap_or_default();
            QueryError::not_allowed(
                format!("the function `{name}`"),
                "`sql --help` lists those that are",
            )
        }
        None => QueryError::Syntax(sentence(message)),
    }
}

/// An error that another library, or this one, wrapped.
fn of_foreign(error: &(dyn std::error::Error + Send + Sync + 'static)) -> QueryError {
    if let Some(own) = error.downcast_ref::<QueryError>() {
        own.clone()
    } else if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        of_reference(inner)
    } else {
        of_message(&error.to_string())
    }
}

/// The limit on temporary files travels as an error of the file, of Arrow or of the library.
fn of_message(message: &str) -> QueryError {
    if message.contains(FULL) {
        return too_large(message);
    }
    let is_about_a_file = FILE_ERRORS.iter().any(|words| message.contains(words));
    if is_about_a_file {
        return QueryError::Damaged(sentence(message));
    }
    QueryError::Failed(sentence(message))
}

/// What errors of reading a data file say, through however many libraries they came.
const FILE_ERRORS: &[&str] = &[
    "Parquet error: ",
    "Object Store error: ",
    "Object at location ",
];

fn of_schema(error: &SchemaError) -> String {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let mut names: Vec<_> = valid_fields.iter().map(Column::name).collect();
            names.sort_unstable();
            names.dedup();
            // More would hide the name that was wrong.
            names.truncate(40);
            if names.is_empty() {
                format!("there is no column `{}`", field.name())
            } else {
                let names = names.join("`, `");
                format!("there is no column `{}`; there are `{names}`", field.name())
            }
        }
        other => sentence(&other.to_string()),
    }
}

/// The first line, without the names of the library's errors before it.
fn sentence(message: &str) -> String {
    const NOISE: &[&str] = &[
        "Error during planning: ",
        "SQL error: ",
        "sql parser error: ",
        "Execution error: ",
        "Arrow error: ",
        "Internal error: ",
        "Optimizer rule ",
        "External error: ",
        "Parquet error: ",
        "Object Store error: ",
    ];
    /// Longer messages print plans.
    const MAX_CHARS: usize = 400;
    let mut rest = message.trim();
    while let Some(shorter) = NOISE.iter().find_map(|noise| rest.strip_prefix(noise)) {
        rest = shorter;
    }
    let line = rest.lines().next().unwrap_or_default();
    let mut text: String = line.chars().take(MAX_CHARS).collect();
    if line.chars().count() > MAX_CHARS {
        text.push('…');
    }
    text
}
