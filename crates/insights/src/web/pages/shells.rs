//! Pages that are made of parts, each the answer of a report: which parts, and in which order.

use super::asked::{AskedPeriod, Hubs, answers, group_select};
use super::frame::{Frame, html};
use super::message;
use super::newest::Newest;
use super::part::Look;
use super::view::{Address, Fact, Field, Notice, PartBox, Select, Shape, ShellPage, Tone, Width};
use crate::web::visitor::Visitor;
use crate::web::{Site, sight};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

/// A report as a part of a page.
#[derive(Clone, Copy)]
pub(super) struct PartSpec {
    /// The report.
    pub(super) report: &'static str,
    /// Until the part is there.
    pub(super) title: &'static str,
    /// What of it is shown.
    pub(super) look: Look,
    /// How much of the row it takes.
    pub(super) width: Width,
    /// Its parameters, where they are not as usual.
    pub(super) choices: &'static [Chosen],
}

/// A parameter of a report.
#[derive(Clone, Copy)]
pub(super) struct Chosen {
    pub(super) name: &'static str,
    pub(super) value: &'static str,
}

pub(super) const fn part(
    report: &'static str,
    title: &'static str,
    look: Look,
    width: Width,
) -> PartSpec {
    PartSpec {
        report,
        title,
        look,
        width,
        choices: &[],
    }
}

/// The last sessions, as many as a part shows.
pub(super) const fn newest_sessions(title: &'static str) -> PartSpec {
    PartSpec {
        choices: &[Chosen {
            name: "most",
            value: "200",
        }],
        ..part("sessions", title, Look::Newest, Width::Whole)
    }
}

/// A page of parts.
pub(super) struct Shell {
    pub(super) path: &'static str,
    pub(super) title: &'static str,
    pub(super) intro: &'static str,
    pub(super) parts: &'static [PartSpec],
    /// Lists that no report has, behind the parts.
    pub(super) newest: &'static [Newest],
}

/// Who comes.
static ACTIVITY: Shell = Shell {
    path: "activity",
    title: "Activity",
    intro: "Who comes, how often, and who stays.",
    parts: &[
        part("active-users", "Active users", Look::Chart, Width::Whole),
        part("new-users", "New users", Look::Chart, Width::Half),
        part("stickiness", "Stickiness", Look::Chart, Width::Half),
        part("retention", "Retention", Look::Chart, Width::Half),
        part("logins", "Logins", Look::Chart, Width::Half),
        part("regular-users", "Regular users", Look::Table, Width::Whole),
        part("last-activity", "Last activity", Look::Table, Width::Whole),
    ],
    newest: &[],
};

/// Servers that ran.
static SESSIONS: Shell = Shell {
    path: "sessions",
    title: "Sessions",
    intro: "Servers that ran: how many, how long, how many at once.",
    parts: &[
        part("concurrency", "Servers at once", Look::Chart, Width::Whole),
        part("concurrency-summary", "Peaks", Look::Table, Width::Half),
        part("session-lengths", "Lengths", Look::Both, Width::Half),
        part(
            "hour-of-week",
            "Hours of the week",
            Look::Chart,
            Width::Half,
        ),
        part("session-ends", "How they ended", Look::Chart, Width::Half),
        part("idle-servers", "Idle servers", Look::Table, Width::Whole),
        newest_sessions("Sessions"),
    ],
    newest: &[],
};

/// `GET activity`
pub(in crate::web) async fn activity(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    shown(
        &site,
        &visitor,
        &ACTIVITY,
        Vec::new(),
        &query.unwrap_or_default(),
    )
    .await
}

/// `GET sessions`
pub(in crate::web) async fn sessions(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    shown(
        &site,
        &visitor,
        &SESSIONS,
        Vec::new(),
        &query.unwrap_or_default(),
    )
    .await
}

/// A page of parts about everybody or a group, with what is known at once above them.
pub(super) async fn shown(
    site: &Site,
    visitor: &Visitor,
    shell: &Shell,
    facts: Vec<Fact>,
    query: &str,
) -> Response {
    let frame = Frame {
        site,
        visitor: Some(visitor),
        path: shell.path,
    };
    let asked = match AskedPeriod::of(site, visitor, query, Hubs::All).await {
        Ok(asked) => asked,
        Err(error) => return message::unanswered(site, visitor, &error),
    };
    let chosen = asked.request.group.clone().unwrap_or_default();
    let groups = groups_of(site);
    let select = group_select(
        groups.iter().map(String::as_str),
        &chosen,
        Some("everybody"),
    );
    Page {
        frame,
        title: shell.title.to_owned(),
        intro: shell.intro.to_owned(),
        parts: shell.parts,
        newest: shell.newest,
        selects: vec![select],
        kept: Vec::new(),
        facts,
        instead: None,
        path: shell.path,
    }
    .html(&asked)
}

/// Names of all groups that may be shown.
pub(super) fn groups_of(site: &Site) -> Vec<String> {
    let groups = site.groups().into_iter();
    groups.map(|group| group.name.to_string()).collect()
}

/// A page of parts with all that is around them.
pub(super) struct Page<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: String,
    pub(super) intro: String,
    pub(super) parts: &'a [PartSpec],
    pub(super) newest: &'a [Newest],
    pub(super) selects: Vec<Select>,
    pub(super) kept: Vec<Field>,
    pub(super) facts: Vec<Fact>,
    /// Said instead of all parts, where there is nothing that they could be about.
    pub(super) instead: Option<Notice>,
    /// Where the page is, below the prefix.
    pub(super) path: &'a str,
}

impl Page<'_> {
    pub(super) fn html(self, asked: &AskedPeriod) -> Response {
        let prefix = &self.frame.site.config.web.prefix;
        let address = Address::below(prefix, self.path);
        let theirs = self.parts.iter().filter(|part| self.is_theirs(part, asked));
        let boxes = theirs.map(|part| part_box(part, asked, prefix));
        let newest = self
            .newest
            .iter()
            .map(|newest| newest.part_box(asked, prefix));
        let boxes: Vec<PartBox> = boxes.chain(newest).collect();
        let mut notices = Vec::new();
        if self.frame.site.answers.is_none() {
            notices.push(no_history());
        }
        notices.extend(self.instead);
        let has_parts = notices.is_empty();
        let page = ShellPage {
            layout: self.frame.layout(self.title, self.intro),
            picker: asked.picker(address, self.selects, self.kept),
            notices,
            facts: self.facts,
            links: Vec::new(),
            ready: Vec::new(),
            parts: if has_parts { boxes } else { Vec::new() },
        };
        html(StatusCode::OK, &page)
    }
}

impl Page<'_> {
    /// Whether whoever looks may ask it: a page leaves out what they would be refused.
    fn is_theirs(&self, part: &PartSpec, asked: &AskedPeriod) -> bool {
        let site = self.frame.site;
        let report = answers(site).and_then(|answers| answers.report(part.report).ok());
        let (Some(report), Some(visitor)) = (report, self.frame.visitor) else {
            return false;
        };
        let request = asked.request.clone();
        let request = sight::meant(&visitor.viewer, &site.config, report, request);
        sight::shown(&visitor.viewer, &site.config, report, &request).is_ok()
    }
}

/// What a service without a history says.
pub(super) fn no_history() -> Notice {
    Notice::new(
        Tone::Warning,
        "No history is kept, so only the present is known: set `store.path` to a folder that the \
         service may write to.",
    )
}

/// The box of a part about what the page is about.
pub(super) fn part_box(part: &PartSpec, asked: &AskedPeriod, prefix: &str) -> PartBox {
    let with_choices = |address: Address| {
        let choices = part.choices.iter();
        choices.fold(address, |address, chosen| {
            address.with(chosen.name, chosen.value)
        })
    };
    let url = Address::below(prefix, &format!("parts/{}", part.report));
    let url = with_choices(asked.carried(url)).with("look", part.look.name());
    let report = Address::below(prefix, &format!("reports/{}", part.report));
    PartBox {
        title: part.title.to_owned(),
        url: url.to_string(),
        report_href: with_choices(asked.carried(report)).to_string(),
        width: part.width,
        shape: match part.look {
            Look::Cards => Shape::Cards,
            Look::Chart | Look::Both => Shape::Chart,
            Look::Table | Look::Newest => Shape::Table,
        },
    }
}
