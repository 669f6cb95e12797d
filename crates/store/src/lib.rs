//! Tables, and how they are kept and written out.
//!
//! The only crate where the words of the storage and query libraries appear: its public
//! functions take and return `model` types, plain values, and the opaque [`Table`].

mod durable;
mod table;
pub mod tables;

pub use table::{Column, Format, Table, TableError};
