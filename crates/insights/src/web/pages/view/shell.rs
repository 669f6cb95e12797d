//! A page that is made of parts: *Overview*, *Activity*, *Sessions*, one group, one user.

use super::layout::{Layout, Link, Notice};
use super::number::Fact;
use super::part::{Part, PartBox};
use super::picker::PeriodPicker;
use askama::Template;

/// A page of parts.
#[derive(Clone, Debug, Template)]
#[template(path = "shell.html")]
pub(crate) struct ShellPage {
    /// Around it.
    pub(crate) layout: Layout,
    /// Where the page has a period.
    pub(crate) picker: Option<PeriodPicker>,
    /// What has to be said before all parts.
    pub(crate) notices: Vec<Notice>,
    /// What the snapshot says at once; may be none.
    pub(crate) facts: Vec<Fact>,
    /// Related pages; may be none.
    pub(crate) links: Vec<Link>,
    /// Parts that come at once.
    pub(crate) ready: Vec<Part>,
    /// Parts that the script asks for.
    pub(crate) parts: Vec<PartBox>,
}
