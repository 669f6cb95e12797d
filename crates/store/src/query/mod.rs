//! Read-only SQL over the tables and views of the history.
//!
//! [`Engine`] runs queries beside the service without starving it; [`Sources`] are the rows
//! that they see; [`schema_text`] says what there is. Writing, and where rows come from, do not
//! belong here.

mod corrections;
mod engine;
mod error;
mod files;
mod folded;
mod functions;
mod guard;
mod memory;
mod plain;
mod remembered;
mod schema;
mod scope;
mod stop;
#[cfg(test)]
mod tests;
mod threads;
mod views;
mod written;

pub use engine::{Engine, EngineSettings, Limits, Rows, Value};
pub use error::{QueryError, Resource};
pub(crate) use files::{Bounds, Files, RowsFile};
pub(crate) use folded::Fold;
#[cfg(test)]
pub(crate) use guard::parse;
pub(crate) use remembered::{AnswersOfRows, TablesByName, Weighed};
pub use schema::{schema_markdown, schema_text};
pub(crate) use scope::Scope;
pub use views::Sources;
pub(crate) use views::{KnownToRun, Part, Piece};
pub use written::Written;
