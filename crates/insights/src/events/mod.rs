//! Events that others send: from the text of one item to a row of the history.
//!
//! Four dialects are recognised by themselves ([`Reader`]); what cannot be read is kept as it came,
//! with the reason. By which road an item came (HTTP, a file) is not known here, and the same item
//! gives the same row on every road. Who may send is the business of `web`.

mod dialects;
mod lines;
mod reader;
mod sink;
mod sources;
mod tail;
mod time;
mod visits;

pub(crate) use dialects::{LAUNCH, LAUNCH_KIND};
pub use lines::{Chunk, Items, Numbered, Then};
pub use reader::{ITEM_MAX_BYTES, Item, Reader, Rejected};
pub use sink::{Batch, Sink, SinkError, Taken};
pub use sources::{Liveness, Source, SourceState, Sources};
pub use tail::follow_all;
pub(crate) use tail::place::Head;
pub use visits::Visits;
