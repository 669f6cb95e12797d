//! What stands around every page: the head, the navigation, who is there, the foot.

use super::words::words;
use askama::Template;
use askama::filters::HtmlSafe;
use std::sync::LazyLock;

/// Around every page; `layout.html` reads it as `layout`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// Of the page: its only `<h1>`, and first in the title of the window.
    pub(crate) title: String,
    /// A sentence below the title; may be empty.
    pub(crate) intro: String,
    /// As in the configuration.
    pub(crate) hub_name: String,
    /// Where the hub's own pages are; empty for no link.
    pub(crate) hub_href: String,
    /// Of the service; begins and ends with `/`.
    pub(crate) prefix: String,
    /// Where a visitor whose session ended goes on; empty where nobody logs in, as on a shared page.
    pub(crate) login_href: String,
    /// What our script and our forms send along, so that nobody else's can; empty for none.
    pub(crate) page_token: String,
    /// The pages that the visitor may see, in order; empty for no navigation.
    pub(crate) nav: Vec<NavItem>,
    /// Who is logged in.
    pub(crate) visitor: Option<VisitorName>,
    /// The zone in which the hub's days are cut, for the foot of the page; empty to say nothing of it.
    pub(crate) zone: String,
    /// At the foot of the page: documentation, the API.
    pub(crate) links: Vec<Link>,
    /// What has to be said above everything: that the hub was not reached for an hour.
    pub(crate) notices: Vec<Notice>,
}

impl Layout {
    /// With its version.
    pub(super) const PROGRAM: &str = concat!("jupyterhub-insights ", env!("CARGO_PKG_VERSION"));

    /// An asset of ours; the address changes with what is in them, so that it may be kept for long.
    pub(super) fn asset(&self, name: &str) -> String {
        format!("{}assets/{name}?{}", self.prefix, *ASSETS)
    }
}

/// A hash of all style sheets and scripts.
static ASSETS: LazyLock<String> = LazyLock::new(|| {
    let charts = crate::chart::page_parts();
    let all = [
        charts.css,
        charts.js,
        include_str!("../insights.css"),
        include_str!("../insights.js"),
    ];
    format!("{:08x}", crc32fast::hash(all.concat().as_bytes()))
});

/// A page in the navigation.
#[derive(Clone, Debug)]
pub(crate) struct NavItem {
    /// A word.
    pub(crate) label: String,
    /// Where it is.
    pub(crate) href: String,
    /// Whether it is the one that is shown, or the one above it.
    pub(crate) is_current: bool,
}

/// Who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct VisitorName {
    /// As the hub knows them.
    pub(crate) name: String,
    /// `administrator`, `group owner`; may be empty.
    pub(crate) role: String,
    /// Takes the form that logs out.
    pub(crate) logout_href: String,
}

/// A link.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// What stands there.
    pub(crate) label: String,
    /// Where it leads.
    pub(crate) href: String,
}

impl Link {
    /// A link with these words.
    pub(crate) fn new(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            href: href.into(),
        }
    }
}

/// How good news are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Neither.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Under way: starting, stopping.
    Busy,
    /// Somebody should look at it.
    Warning,
    /// Somebody has to act.
    Bad,
}

impl Tone {
    /// The class with its colour.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    /// A picture of 16 x 16 that says the same as the colour.
    fn icon(self) -> &'static str {
        match self {
            Self::Plain => "M8 3.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z",
            Self::Good => "M2.5 8.5l3.5 3.5l7.5-8",
            Self::Busy => "M8 2.5a5.5 5.5 0 1 0 5.5 5.5M8 5v3l2 2",
            Self::Warning => "M8 2l6.5 11.5h-13zM8 6.5v3M8 11.4v.4",
            Self::Bad => "M4 4l8 8M12 4l-8 8",
        }
    }
}

/// A state in a word or two, with a colour and a picture.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<span class="badge {{ tone.class() }}"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="{{ tone.icon() }}"/></svg>{{ text }}</span>"#
)]
pub(crate) struct Badge {
    /// The words.
    pub(crate) text: String,
    /// The rest.
    pub(crate) tone: Tone,
}

impl HtmlSafe for Badge {}

impl Badge {
    /// A state.
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

/// A sentence or two in a box.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<div class="notice {{ tone.class() }}"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="{{ tone.icon() }}"/></svg><p>{{ self::words(text) }}{% for link in links %} <a href="{{ link.href }}">{{ link.label }}</a>{% endfor %}</p></div>"#
)]
pub(crate) struct Notice {
    /// How good they are.
    pub(crate) tone: Tone,
    /// The sentences.
    pub(crate) text: String,
    /// Where to go on.
    pub(crate) links: Vec<Link>,
}

impl HtmlSafe for Notice {}

impl Notice {
    /// Sentences without a link.
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone,
            text: text.into(),
            links: Vec::new(),
        }
    }
}
