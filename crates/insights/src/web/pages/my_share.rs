//! *My share of my group*: what somebody used of what each of their groups used, in a month that is over.
//! A report says both; here they are only divided. Of a group in which fewer than `access.least_people`
//! used something nothing is said, since a share and one's own use give the use of the others.

use super::asked::{answers, request_of};
use super::view::{Cell, Downloads, Figures, Head, Nothing, Part, Rows, Table};
use crate::answers::{AnswerError, Answers, Days, Request};
use crate::chart::Unit;
use crate::poll::clock::now;
use crate::web::api::ApiError;
use crate::web::sight::{self, Shown};
use crate::web::visitor::Visitor;
use crate::web::{Site, no_store};
use askama::Template as _;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse as _, Response};
use std::collections::BTreeMap;
use store::report::{Answer, Reader, ReportError};

/// The report that tells it.
const REPORT: &str = "usage-by-group";
/// Most groups of one person that are told of.
const MOST_GROUPS: usize = 10;

/// What is shared, by its column.
const MEASURES: [(&str, &str, &str); 3] = [
    ("cpu_core_hours", "CPU", "core hours"),
    ("memory_gib_hours", "Memory", "GiB hours"),
    ("gpu_hours", "GPU", "GPU hours"),
];

/// `GET me/share`
pub(in crate::web) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let request = request_of(&query.unwrap_or_default()).map_err(AnswerError::Report)?;
    let answers = answers(&site).ok_or_else(ApiError::no_history)?;
    let of_hub = Request {
        name: REPORT.to_owned(),
        hub: Some(site.config.hub.name.clone()),
        user: None,
        ..request
    };
    let month = sight::whole_month(&answers.days(&of_hub).await?);
    let mut rows = Vec::new();
    for group in groups(&site, &visitor) {
        let of_group = Request {
            from: Some(month.from.to_string()),
            to: Some(month.to.to_string()),
            group: Some(group.clone()),
            choices: BTreeMap::new(),
            ..of_hub.clone()
        };
        match row(&site, &visitor, answers, &of_group, &group).await {
            Ok(row) => rows.push(row),
            // A group that came after the month.
            Err(AnswerError::Report(ReportError::NotFound { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let part = part(rows, &month, site.config.access.least_people);
    let text = part.render().map_err(|error| {
        tracing::error!(%error, "A part of a page could not be written.");
        ApiError::Internal
    })?;
    let mut response = Html(text).into_response();
    no_store(&mut response);
    Ok(response)
}

/// Groups that they are in and that may be shown.
fn groups(site: &Site, visitor: &Visitor) -> Vec<String> {
    let theirs = site.groups_of(&visitor.viewer.user).into_iter();
    theirs
        .take(MOST_GROUPS)
        .map(|group| group.name.to_string())
        .collect()
}

async fn row(
    site: &Site,
    visitor: &Visitor,
    answers: &Answers,
    of_group: &Request,
    group: &str,
) -> Result<Vec<Cell>, AnswerError> {
    let reader = Reader::Shared {
        least_people: site.config.access.least_people,
    };
    let all = sight::cut(answers.answer(of_group).await?, Shown::To(reader));
    let mine = Request {
        user: Some(visitor.viewer.user.to_string()),
        ..of_group.clone()
    };
    let mine = answers.answer(&mine).await?;
    let mut cells = vec![Cell::text(group)];
    for (column, _, unit) in MEASURES {
        let unit = Unit::Other(unit.to_owned());
        cells.push(share(sum(&mine, column), sum(&all, column), &unit));
    }
    Ok(cells)
}

/// How much of what all used, if that may be told.
fn share(mine: Option<f64>, all: Option<f64>, unit: &Unit) -> Cell {
    let Some(mine) = mine else {
        return Cell::number("–", None);
    };
    let Some(all) = all.filter(|all| *all > 0.0) else {
        return Cell::number(unit.format(mine), None);
    };
    let share = mine / all;
    let text = format!(
        "{} of {}",
        Unit::Percent.format(share * 100.0),
        unit.format(all)
    );
    // With more digits than are shown, one's own use would give the others' to the second.
    Cell::number(text, Some((share * 1000.0).round() / 1000.0))
}

/// The sum of a column; `None` if there is nothing in it.
fn sum(answer: &Answer, column: &str) -> Option<f64> {
    let place = answer.table.names().position(|name| name == column)?;
    let cells = answer
        .table
        .rows()
        .filter_map(|row| crate::report::number_of(row.get(place)?));
    cells.reduce(|sum, more| sum + more)
}

fn part(rows: Vec<Vec<Cell>>, month: &Days, least_people: u64) -> Part {
    let title = format!("My share of my groups, {}", month.from.strftime("%B %Y"));
    let nothing = rows.is_empty().then(|| Nothing {
        text: "You are in no group: whoever administrates the hub puts people into groups."
            .to_owned(),
        next: None,
    });
    let mut heads = vec![Head::name("Group")];
    heads.extend(MEASURES.map(|(_, name, unit)| Head::number(format!("{name} ({unit})"))));
    Part {
        title: title.clone(),
        whom: String::new(),
        question_html:
            "How much of what each of my groups used was mine, on the days on which I was \
                        in it?"
                .to_owned(),
        notices: Vec::new(),
        cards: Vec::new(),
        figures: Figures::default(),
        rows: Rows::Open(Table {
            caption: title,
            heads,
            rows,
            more_rows: None,
        }),
        nothing,
        caveats_html: vec![format!(
            "Of a group in which fewer than {least_people} people used something only your own use is \
             shown, and so it is of GPUs, which few use."
        )],
        definition_html:
            "Your use by the report “Usage by group”, divided by that of all members, on the days on which \
             they were, of the last whole month."
                .to_owned(),
        source: "the report “Usage by group”, of the history".to_owned(),
        at: Some(now()),
        downloads: Downloads::default(),
        more: None,
    }
}
