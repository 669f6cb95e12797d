//! Reports: a question, a definition, a query, a picture, and rows that can be checked.
//!
//! A report is one file of `src/reports`. What it says of itself is in [`definition`], what a reader
//! asks in [`asked`]; [`run`] finds out what is known of the period ([`evidence`], [`knowledge`]) and
//! makes the views that the query reads ([`scope`]). How answers look on a page does not belong here.

mod answer;
mod asked;
mod at_once;
mod calendar;
mod came;
mod definition;
mod described;
mod evidence;
mod functions;
#[cfg(test)]
mod golden;
mod knowledge;
#[cfg(test)]
mod laws;
mod members;
#[cfg(test)]
mod mutants;
mod on_scan;
mod people;
mod question;
mod raw;
mod readers;
mod registry;
mod run;
mod scope;
mod shown_to;
mod sums;
mod usual;

pub use answer::{Answer, HubOfAnswer};
pub use asked::{Asked, Chosen, LeftOutAccounts, Network, ReportError, RollUp, Site};
pub use definition::{
    BadReport, ChartKind, ChartSpec, Definition, Filter, Kind, Lead, Need, Parameter,
    ParameterKind, ReportColumn, Section,
};
pub use described::{CALENDAR_FUNCTIONS, CalendarFunction, REPORT_VIEWS, ReportView};
pub use question::{Key, Question};
pub use readers::{Audience, Counted, People, Rows, Together, Withheld, WithheldPart};
pub use registry::{LeftOut, Registry};
#[cfg(test)]
use run::run;
pub use shown_to::Reader;
pub use usual::UsualMonths;
