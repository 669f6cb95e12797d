//! *My share of my group*: what somebody used of what each of their groups used. Two reports say it;
//! here they are only divided. Of a group in which fewer than `access.least_people` used something
//! nothing is said, since a share and one's own use give the use of the others.

use super::asked::{answers, request_of};
use super::view::{Cell, Downloads, Head, Nothing, Part, Rows, Table};
use crate::answers::{AnswerError, Answers, Request};
use crate::chart::Unit;
use crate::poll::clock::now;
use crate::web::api::ApiError;
use crate::web::visitor::Visitor;
use crate::web::{Site, no_store};
use askama::Template as _;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse as _, Response};
use store::report::Answer;

/// Most groups of one person that are told of.
const MOST_GROUPS: usize = 10;

/// What is shared, by its column in both reports.
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
    let answers =
        answers(&site).ok_or_else(|| ApiError::Busy("no history is kept here".to_owned()))?;
    let mut rows = Vec::new();
    for group in groups(&site, &visitor) {
        let of_group = Request {
            group: Some(group.clone()),
            user: None,
            hub: Some(site.config.hub.name.clone()),
            ..request.clone()
        };
        rows.push(row(&site, &visitor, answers, &of_group, &group).await?);
    }
    let part = part(rows, site.config.access.least_people);
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
    let filter = site.config.attribution().filter;
    let snapshot = site.published.snapshot();
    let all = snapshot.groups.iter().flat_map(|groups| &*groups.value);
    let theirs = all.filter(|group| {
        filter.allows(&group.name) && group.members.binary_search(&visitor.viewer.user).is_ok()
    });
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
    let asked = |name: &str, request: &Request| Request {
        name: name.to_owned(),
        ..request.clone()
    };
    let all = answers.answer(&asked("usage-by-group", of_group)).await?;
    let mine = Request {
        user: Some(visitor.viewer.user.to_string()),
        ..of_group.clone()
    };
    let mine = answers.answer(&asked("usage-by-user", &mine)).await?;
    #[expect(clippy::cast_precision_loss, reason = "a number of people")]
    let least = site.config.access.least_people as f64;
    let are_enough = sum(&all, "users").is_some_and(|users| users >= least);
    let mut cells = vec![Cell::text(group)];
    for (column, _, unit) in MEASURES {
        let used = sum(&mine, column);
        let share = used
            .zip(sum(&all, column))
            .filter(|(_, all)| are_enough && *all > 0.0)
            .map(|(used, all)| used / all);
        let unit = Unit::Other(unit.to_owned());
        let text = match (used, share) {
            (None, _) => "–".to_owned(),
            (Some(used), None) => unit.format(used),
            (Some(used), Some(share)) => {
                format!(
                    "{} of {}",
                    Unit::Percent.format(share * 100.0),
                    unit.format(used / share.max(f64::MIN_POSITIVE))
                )
            }
        };
        cells.push(Cell::number(text, share));
    }
    Ok(cells)
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

fn part(rows: Vec<Vec<Cell>>, least_people: u64) -> Part {
    let nothing = rows.is_empty().then(|| Nothing {
        text: "You are in no group.".to_owned(),
        next: None,
    });
    let mut heads = vec![Head::name("Group")];
    heads.extend(MEASURES.map(|(_, name, unit)| Head::number(format!("{name} ({unit})"))));
    Part {
        title: "My share of my groups".to_owned(),
        question_html:
            "How much of what each of my groups used was mine, on the days on which I was \
                        in it?"
                .to_owned(),
        notices: Vec::new(),
        cards: Vec::new(),
        figures: Vec::new(),
        rows: Rows::Open(Table {
            caption: "My share of my groups".to_owned(),
            heads,
            rows,
            more_rows: None,
        }),
        nothing,
        caveats_html: vec![format!(
            "Of a group in which fewer than {least_people} people used something only your own use is \
             shown."
        )],
        definition_html:
            "Your use by the report “Resources by user”, divided by that of the group by \
                          “Resources by group”, both of the members on the days on which they were."
                .to_owned(),
        source: "both reports, of the history".to_owned(),
        at: Some(now()),
        downloads: Downloads::default(),
        more: None,
    }
}
