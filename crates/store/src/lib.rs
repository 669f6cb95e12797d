//! Tables, and how they are kept, asked and written out.
//!
//! The only crate where the words of the storage and query libraries appear: its public
//! functions take and return `model` types, plain values, and the opaque [`Table`].

mod at_hand;
mod audits;
mod derive;
mod durable;
mod erase;
mod erasure_requests;
mod flush;
mod folder;
mod history;
mod hubs;
mod importer;
mod keeper;
mod query;
mod rebuild;
mod recent;
pub mod report;
mod running;
mod shares;
mod sources;
mod state;
mod store;
mod table;
pub mod tables;
mod tallies;
#[cfg(test)]
mod tests;
mod upkeep;
mod used;
mod verify;

pub use at_hand::ServerSession;
pub use derive::Adopted;
pub use erase::Erased;
pub use flush::FlushError;
pub use folder::{Folder, FolderError};
pub use history::HistoryError;
pub use hubs::KnownHub;
pub use importer::{Counting, ImportError, Imported, Importer, Takes};
pub use keeper::{Keeper, KeeperSettings, Phase};
pub use query::{
    Engine, EngineSettings, Limits, QueryError, Resource, Rows, Sources, Value, Written,
    schema_markdown, schema_text,
};
pub use rebuild::Rebuilt;
pub use state::StateError;
pub use state::erasure_requests::ErasureRequest;
pub use state::facts::{KINDS_OF_OTHERS, event_of, of_event as fact_of};
pub use state::jobs::Job;
pub use state::present::{Change as PresentChange, Present};
pub use state::shares::{Revoked, Share, ShareDigest};
pub use state::spool::{Accepted, Intake, Position};
pub use store::{AskError, JobError, Store, StoreError};
pub use table::{Cell, Column, Format, Table, TableError};
pub use tallies::{
    ANONYMOUS, Histogram, LABEL_MAX_BYTES, Labels, OTHER, Tallied, Tally, TallyDef, TallyKind,
    TallyValue,
};
pub use upkeep::{Retention, Upkeep};
pub use verify::{Checked, Damage, Finding, Severity, verify};
