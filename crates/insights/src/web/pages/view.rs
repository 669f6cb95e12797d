//! What pages are made of, as plain structs beside their templates: the words, numbers and addresses
//! that stand on a page, and nothing about where they come from or who may see them.
//!
//! Names of users and groups come from outside. A text reaches a page only through a template, which
//! escapes it, and an address only through [`Address`]; fields called `…_html` are the exception and
//! are filled with what `report` has escaped.
//!
//! Things that stand inside others (a card, a table) are templates too and write themselves where
//! they are named: `{{ card }}`.

mod address;
mod layout;
mod me;
mod now;
mod number;
mod operation;
mod part;
mod people;
mod picker;
mod plain;
mod reports;
mod shell;
mod table;
mod time;
mod words;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub(crate) use address::Address;
pub(crate) use layout::{Badge, Layout, Link, NavItem, Notice, Tone, VisitorName};
pub(crate) use me::{Erasure, Kept, MePage, SessionBox};
pub(crate) use now::{NowPage, NowRows, ServerRow, Used};
pub(crate) use number::{Bar, Card, Change, Fact, Number};
pub(crate) use operation::{CheckRow, HealthPage, MachineBox, MachinesPage, Measure};
pub(crate) use part::{Downloads, Figure, Figures, Nothing, Part, PartBox, Rows, Shape, Width};
pub(crate) use people::{GroupRow, GroupsPage, NOT_YET, Pager, PersonRow, UsersPage};
pub(crate) use picker::{Choice, Field, PeriodPicker, Select};
pub(crate) use plain::{ErrorPage, LoginAgainPage};
pub(crate) use reports::{OneReportPage, ReportLink, ReportSection, ReportsPage};
pub(crate) use reports::{ShareForm, ShareRow, SharesPage};
pub(crate) use shell::ShellPage;
pub(crate) use table::{Cell, Head, Side, Table};
pub(crate) use time::When;
