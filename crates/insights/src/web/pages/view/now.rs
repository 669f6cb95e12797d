//! *Now*: what runs at this moment.

use super::layout::{Badge, Layout, Link};
use super::number::{Bar, Card};
use super::time::When;
use askama::Template;
use askama::filters::HtmlSafe;
use jiff::Timestamp;

/// The page. The script asks for its rows again and again, and keeps order, filter and focus.
#[derive(Clone, Debug, Template)]
#[template(path = "now.html")]
pub(crate) struct NowPage {
    /// Around it.
    pub(crate) layout: Layout,
    /// Where the rows are: the address of [`NowRows`].
    pub(crate) url: String,
    /// How often they are asked for.
    pub(crate) every_seconds: u32,
    /// The rows as they are.
    pub(crate) rows: NowRows,
}

/// What refreshes by itself; alone it is the answer to the script.
#[derive(Clone, Debug, Template)]
#[template(path = "now_rows.html")]
pub(crate) struct NowRows {
    /// Running, pending, people.
    pub(crate) cards: Vec<Card>,
    /// The servers.
    pub(crate) servers: Vec<ServerRow>,
    /// Says that there are more than are shown, if there are.
    pub(crate) more_servers: Option<String>,
    /// When the hub said so.
    pub(crate) at: Option<Timestamp>,
}

impl HtmlSafe for NowRows {}

impl NowRows {
    fn age(&self) -> Option<When> {
        self.at.map(When::Age)
    }
}

/// A server that runs, starts or stops.
#[derive(Clone, Debug)]
pub(crate) struct ServerRow {
    /// Whose it is, with their page.
    pub(crate) user: Link,
    /// Its name; empty for the default one.
    pub(crate) server: String,
    /// Running, starting, stopping.
    pub(crate) state: Badge,
    /// The groups of its user, with their pages.
    pub(crate) groups: Vec<Link>,
    /// Since when.
    pub(crate) started: Option<Timestamp>,
    /// When it last did something.
    pub(crate) last_activity: Option<Timestamp>,
    /// Memory, if it is measured.
    pub(crate) memory: Option<Used>,
    /// CPU, if it is measured.
    pub(crate) cpu: Option<Used>,
    /// The image or profile, or the machine; may be empty.
    pub(crate) place: String,
}

impl ServerRow {
    /// What tells it from others, for the script.
    fn key(&self) -> String {
        format!("{}/{}", self.user.label, self.server)
    }

    fn since(&self) -> Option<When> {
        self.started.map(When::Age)
    }

    fn last(&self) -> Option<When> {
        self.last_activity.map(When::Age)
    }
}

/// How much is used.
#[derive(Clone, Debug)]
pub(crate) struct Used {
    /// `1.2 GiB of 4 GiB`.
    pub(crate) text: String,
    /// In any unit, to sort by.
    pub(crate) value: f64,
    /// What was asked for, where there is no limit; may be empty.
    pub(crate) beside: String,
    /// Of the limit, if there is one.
    pub(crate) bar: Option<Bar>,
}
