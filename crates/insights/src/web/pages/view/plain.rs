//! Pages without numbers: errors, and steps on the way in.

use super::layout::{Layout, Link};
use super::words::words;
use askama::Template;

/// Something did not work.
#[derive(Clone, Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    /// Around it, as far as it is known who asks; the title says what is wrong: `There is no such page`.
    pub(crate) layout: Layout,
    /// The status of the reply.
    pub(crate) status: u16,
    /// What happened and what to do, in a sentence or two.
    pub(crate) text: String,
    /// Where to go on.
    pub(crate) next: Vec<Link>,
}

/// The session ended, or the page asks for a fresh login.
#[derive(Clone, Debug, Template)]
#[template(path = "login_again.html")]
pub(crate) struct LoginAgainPage {
    /// Around it, without a navigation.
    pub(crate) layout: Layout,
    /// Why: `You were logged out at the hub.`
    pub(crate) text: String,
    /// Where the login begins; comes back to the page that was asked for.
    pub(crate) href: String,
}
