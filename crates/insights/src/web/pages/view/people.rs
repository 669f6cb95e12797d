//! *Users* and *Groups*: lists of names.

use super::layout::{Badge, Layout, Link};
use super::picker::Select;
use super::time::When;
use super::words::words;
use crate::chart::Unit;
use askama::Template;
use model::last_seen::Seen;

/// Everybody, a page of them at a time. The server searches and sorts: a hub has 10,000 users.
#[derive(Clone, Debug, Template)]
#[template(path = "users.html")]
pub(crate) struct UsersPage {
    /// Around it.
    pub(crate) layout: Layout,
    /// Where the form leads: this page.
    pub(crate) action: String,
    /// What was searched for.
    pub(crate) query: String,
    /// Groups and the order, as far as they may be chosen.
    pub(crate) selects: Vec<Select>,
    /// Those of this page.
    pub(crate) people: Vec<PersonRow>,
    /// The pages around it.
    pub(crate) pager: Pager,
    /// Whether it says how long servers ran.
    pub(crate) has_hours: bool,
    /// Why there is nobody, if there is nobody.
    pub(crate) nothing: String,
}

/// Before the moment at which the hub said that somebody had never been there.
pub(crate) const NOT_YET: &str = "never, as of ";

/// A user in a list.
#[derive(Clone, Debug)]
pub(crate) struct PersonRow {
    /// Their name, with their page.
    pub(crate) user: Link,
    /// `running`, `administrator`.
    pub(crate) badges: Vec<Badge>,
    /// Their groups that the visitor may see, with their pages.
    pub(crate) groups: Vec<Link>,
    /// When the hub last saw them; `None` if it did not tell.
    pub(crate) last_seen: Option<Seen>,
    /// How long their servers ran lately; `None` where that was not asked.
    pub(crate) hours: Option<f64>,
}

impl PersonRow {
    /// What stands before the moment that the hub told.
    fn seen_text(&self) -> &'static str {
        match self.last_seen {
            Some(Seen::At(_)) => "",
            Some(Seen::NotYet(_)) => NOT_YET,
            None => "–",
        }
    }

    fn seen(&self) -> Option<When> {
        match self.last_seen? {
            Seen::At(at) | Seen::NotYet(at) => Some(When::Age(at)),
        }
    }

    fn hours_text(&self) -> String {
        let hours = self.hours.map(|hours| Unit::Hours.format(hours));
        hours.unwrap_or_default()
    }
}

/// Where in a long list a page is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pager {
    /// `1–100 of 10,000 users`.
    pub(crate) text: String,
    /// The page before.
    pub(crate) previous: Option<String>,
    /// The page after.
    pub(crate) next: Option<String>,
}

/// All groups that the visitor may see.
#[derive(Clone, Debug, Template)]
#[template(path = "groups.html")]
pub(crate) struct GroupsPage {
    /// Around it.
    pub(crate) layout: Layout,
    /// The groups.
    pub(crate) groups: Vec<GroupRow>,
    /// Why there is none, and what to do about it.
    pub(crate) nothing: String,
}

/// A group in a list.
#[derive(Clone, Debug)]
pub(crate) struct GroupRow {
    /// Its name, with its page.
    pub(crate) group: Link,
    /// How many are in it; `None` where that is not told.
    pub(crate) members: Option<u64>,
    /// How many of them have a server; `None` where that is not told.
    pub(crate) running: Option<u64>,
    /// Who owns it; may be nobody.
    pub(crate) owners: Vec<String>,
}
