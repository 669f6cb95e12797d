//! Tables, and how they are kept and written out.
//!
//! The only crate where the words of the storage and query libraries appear: its public
//! functions take and return `model` types, plain values, and the opaque [`Table`].

mod query;
mod table;
pub mod tables;

pub use query::{
    Engine, EngineSettings, Limits, QueryError, Resource, Rows, Sources, Value, schema_markdown,
    schema_text,
};
pub use table::{Column, Format, Table, TableError};
