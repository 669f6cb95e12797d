//! *Reports*: all that somebody may read, and one of them.

use super::asked::{AskedPeriod, Hubs, answers, group_select};
use super::frame::{Frame, html};
use super::message;
use super::part::Look;
use super::shells::{groups_of, no_history};
use super::view::{
    Address, Choice, Downloads, Link, Notice, OneReportPage, PartBox, ReportLink, ReportSection,
    ReportsPage, Select, Shape, Tone, Width,
};
use crate::report::{ReportFormat, Whom, question_html};
use crate::web::visitor::{OWNERS_UNKNOWN, Visitor};
use crate::web::{Site, audit, parts, sight};
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::viewer::{Standing, Viewer};
use store::report::{Filter, Parameter, ParameterKind};

/// Files that a report can be had as.
const FILES: [ReportFormat; 6] = [
    ReportFormat::Csv,
    ReportFormat::Parquet,
    ReportFormat::Json,
    ReportFormat::Markdown,
    ReportFormat::Html,
    ReportFormat::Svg,
];

/// Why the period is another one than was chosen.
const WHOLE_MONTHS: &str = "Figures of a group are those of whole months that are over.";

/// `GET reports`
pub(in crate::web) async fn list(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "reports",
    };
    let mut sections: Vec<ReportSection> = Vec::new();
    if let Some(answers) = answers(&site) {
        for report in answers.registry().await.all() {
            if !sight::may_ask(&visitor.viewer, &site.config.access, report) {
                continue;
            }
            let title = report.section.to_string();
            let link = ReportLink {
                title: report.title.clone(),
                question_html: question_html(report),
                href: format!("{}reports/{}", site.config.web.prefix, report.name),
            };
            match sections.last_mut().filter(|section| section.title == title) {
                Some(section) => section.reports.push(link),
                None => sections.push(ReportSection {
                    title,
                    reports: vec![link],
                }),
            }
        }
    }
    let mut layout = frame.layout("Reports", intro(&visitor.viewer));
    if sections.is_empty() {
        layout.notices.push(no_history());
    }
    let page = ReportsPage { layout, sections };
    html(StatusCode::OK, &page)
}

/// `GET reports/{name}`
pub(in crate::web) async fn one(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let Some(answers) = answers(&site) else {
        return message::nothing_here(&site, Some(&visitor));
    };
    let report = match sight::report(&visitor.viewer, answers, &name) {
        Ok(report) => report,
        Err(error) => return message::unanswered(&site, &visitor, &error),
    };
    let may_ask = sight::may_ask(&visitor.viewer, &site.config.access, report);
    if !may_ask && !visitor.owners_known {
        return message::too_early(&site, OWNERS_UNKNOWN);
    }
    if !may_ask {
        return message::not_theirs(&site, &visitor, "this report is for administrators only");
    }
    let mut asked = match AskedPeriod::of(&site, &visitor, &query, Hubs::All).await {
        Ok(asked) => asked,
        Err(error) => return message::unanswered(&site, &visitor, &error),
    };
    asked.request.name.clone_from(&name);
    asked.request = sight::meant(&visitor.viewer, &site.config, report, asked.request);
    if let Err(denied) = sight::shown(&visitor.viewer, &site.config, report, &asked.request) {
        return match sight::refused(&visitor, denied).told() {
            (StatusCode::SERVICE_UNAVAILABLE, text) => message::too_early(&site, &text),
            (_, text) => message::not_theirs(&site, &visitor, &text),
        };
    }
    if let Some(user) = &asked.request.user
        && let Err(response) = audit::look_at(&site, &visitor, &name, user).await
    {
        return *response;
    }
    let mut notices = Vec::new();
    if sight::reads_aggregates(&visitor.viewer, &site.config.access, &asked.request) {
        asked.settle();
        notices.push(Notice::new(Tone::Plain, WHOLE_MONTHS));
    }
    let prefix = &site.config.web.prefix;
    let path = format!("reports/{name}");
    let to = |path: &str| parts::address_of(prefix, path, &asked.request);
    let files = FILES
        .iter()
        .filter(|format| **format != ReportFormat::Svg || report.chart.is_some());
    let files = files.map(|format| {
        let address = to(&format!("api/v1/reports/{name}")).with("format", format.name());
        Link::new(format.label(), address)
    });
    let mut selects = Vec::new();
    if report.scope.contains(&Filter::Group) {
        selects.extend(groups(&site, &visitor.viewer, &asked));
    }
    selects.extend(report.parameters.iter().filter_map(|parameter| {
        let chosen = asked.request.choices.get(&parameter.name);
        choices(parameter, chosen.map(String::as_str))
    }));
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "reports",
    };
    let kept = asked.request.user.iter().map(|user| super::view::Field {
        name: "user".to_owned(),
        value: user.clone(),
    });
    let page = OneReportPage {
        layout: frame.layout(report.title.clone(), whom(&site, &visitor, &asked)),
        picker: asked.picker(Address::below(prefix, &path), selects, kept.collect()),
        notices,
        downloads: Downloads(files.collect()),
        part: PartBox {
            title: report.title.clone(),
            url: to(&format!("parts/{name}"))
                .with("look", Look::Both.name())
                .to_string(),
            report_href: to(&format!("api/v1/reports/{name}"))
                .with("format", "html")
                .to_string(),
            width: Width::Whole,
            shape: if report.chart.is_some() {
                Shape::Chart
            } else {
                Shape::Table
            },
        },
    };
    html(StatusCode::OK, &page)
}

/// Whom a report is asked about, below its title; empty for everybody.
fn whom(site: &Site, visitor: &Visitor, asked: &AskedPeriod) -> String {
    let request = &asked.request;
    let whom = Whom {
        user: request.user.as_deref(),
        group: request.group.as_deref(),
    };
    // At another hub the same name is somebody else's.
    let is_ours = request.hub.as_ref() == Some(&site.config.hub.name);
    let reader = is_ours.then(|| visitor.viewer.user.as_str());
    let words = whom.in_words(reader);
    words.map_or(String::new(), |words| format!("About {words}."))
}

/// What the list is of, for whoever reads it.
fn intro(viewer: &Viewer) -> &'static str {
    match viewer.standing {
        Standing::Admin => "Every question, with its definition and its figures.",
        Standing::Owner => {
            "Questions about the groups that you look after and about you, with their definitions and \
             their figures."
        }
        Standing::User => "Questions about you, with their definitions and their figures.",
    }
}

/// The groups that somebody may choose.
fn groups(site: &Site, viewer: &Viewer, asked: &AskedPeriod) -> Option<Select> {
    let chosen = asked.request.group.clone().unwrap_or_default();
    let select =
        |names: &[String], none| group_select(names.iter().map(String::as_str), &chosen, none);
    match viewer.standing {
        Standing::Admin => Some(select(&groups_of(site), Some("everybody"))),
        Standing::Owner => {
            let owned: Vec<String> = viewer.owns.iter().map(ToString::to_string).collect();
            Some(select(&owned, Some("choose a group")))
        }
        Standing::User => None,
    }
}

fn choices(parameter: &Parameter, chosen: Option<&str>) -> Option<Select> {
    let ParameterKind::Choice(all) = &parameter.kind else {
        return None;
    };
    let chosen = chosen.unwrap_or(&parameter.default);
    Some(Select {
        name: parameter.name.clone(),
        label: parameter.name.replace('_', " "),
        choices: all.iter().map(|value| Choice::new(value, chosen)).collect(),
    })
}
