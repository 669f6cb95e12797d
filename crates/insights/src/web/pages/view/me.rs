//! *Me*: what a user used, and what is kept about them.

use super::layout::{Badge, Layout, Notice};
use super::number::Fact;
use super::part::{Nothing, PartBox};
use super::picker::PeriodPicker;
use super::time::When;
use super::words::words;
use askama::Template;
use askama::filters::HtmlSafe;
use jiff::Timestamp;

/// A user's own page.
#[derive(Clone, Debug, Template)]
#[template(path = "me.html")]
pub(crate) struct MePage {
    /// Around it.
    pub(crate) layout: Layout,
    /// What has to be said before.
    pub(crate) notices: Vec<Notice>,
    /// Servers that run now; may be none.
    pub(crate) running: Vec<SessionBox>,
    /// The session that ended last; `None` if there was none.
    pub(crate) last: Option<SessionBox>,
    /// Says what to do if there was none and none runs.
    pub(crate) nothing: Nothing,
    /// For the parts below.
    pub(crate) picker: Option<PeriodPicker>,
    /// Sessions, hours, resources, storage, the share of the group.
    pub(crate) parts: Vec<PartBox>,
    /// What is kept about them.
    pub(crate) kept: Vec<Kept>,
    /// All of it as one file.
    pub(crate) download_href: String,
    /// Whether they may ask for, or have asked for, being erased.
    pub(crate) erasure: Erasure,
}

/// A session in a few numbers.
#[derive(Clone, Debug, Template)]
#[template(path = "session.html")]
pub(crate) struct SessionBox {
    /// The server's name; empty for the default one.
    pub(crate) server: String,
    /// `running`, `stopped by you`, `stopped when idle`.
    pub(crate) state: Badge,
    /// When it began; `None` where the hub does not tell yet.
    pub(crate) started: Option<Timestamp>,
    /// When it ended; `None` while it runs.
    pub(crate) ended: Option<Timestamp>,
    /// Its length, active time, CPU, memory peak against the limit, storage.
    pub(crate) facts: Vec<Fact>,
}

impl HtmlSafe for SessionBox {}

impl SessionBox {
    fn begin(&self) -> Option<When> {
        self.started.map(When::Moment)
    }

    fn end(&self) -> Option<When> {
        self.ended.map(When::Moment)
    }
}

/// Something that is kept about a user.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// What it is.
    pub(crate) what: String,
    /// What it is for.
    pub(crate) purpose: String,
    /// `2 years`, `until the account is deleted`.
    pub(crate) how_long: String,
}

/// Whether a user may ask for being erased.
#[derive(Clone, Debug)]
pub(crate) enum Erasure {
    /// They may; the form leads here.
    MayAsk {
        /// Takes the form.
        action: String,
    },
    /// They asked.
    Asked {
        /// When.
        at: Timestamp,
        /// Takes the form that takes it back; may be empty.
        action: String,
    },
}

impl MePage {
    fn asked(&self) -> Option<When> {
        match self.erasure {
            Erasure::MayAsk { .. } => None,
            Erasure::Asked { at, .. } => Some(When::Moment(at)),
        }
    }
}
