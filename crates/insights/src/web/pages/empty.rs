//! What stands where an answer has nothing to show: why that is, and what to do next. The one place
//! that says it, for parts of pages and pages of reports alike.
//!
//! Only administrators are told of settings; for everybody else they are nothing to act on.

use super::part::{Look, Ways};
use super::view::{Address, Link, Nothing, Notice, Tone};
use crate::report::Fragment;
use jiff::civil::Date;
use model::viewer::Standing;
use store::report::{Answer, Need};

/// From the first day of a year to its last one.
pub(in crate::web) const DAYS_BETWEEN: i32 = 364;

/// Why an answer has nothing to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// No hub was read yet.
    NotBegun,
    /// The period is over before this first day of the history.
    Before(Date),
    /// What figures stand on was never known in the period.
    Unknown(Need),
    /// No BinderHub told of anything.
    NoBinder,
    /// The report is about months, and the period is about days.
    TooShort,
    /// The whole history since this day is asked for, and there is no figure.
    NothingYet(Date),
    /// There is no figure of the period.
    Quiet(Length),
}

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// A longer one can be offered.
    Short,
    /// A year or longer.
    AYear,
}

impl Length {
    fn of(answer: &Answer) -> Self {
        let days_between = (answer.to - answer.from).get_days();
        if days_between < DAYS_BETWEEN {
            Self::Short
        } else {
            Self::AYear
        }
    }
}

/// What to say instead of the answer; `None` if it has something to show.
pub(super) fn instead_of(
    answer: &Answer,
    fragment: &Fragment,
    look: Look,
    ways: &Ways<'_>,
) -> Option<Nothing> {
    let is_empty = match look {
        _ if answer.table.n_rows() == 0 => true,
        Look::Cards => false,
        Look::Chart => fragment.figures.is_empty() && fragment.n_empty_figures > 0,
        Look::Table | Look::Newest | Look::Both => {
            !answer.never_known.is_empty() && has_no_figure(fragment)
        }
    };
    is_empty.then(|| why(answer).told(ways))
}

/// What to say above numbers of which some cannot be known.
pub(super) fn above_numbers(answer: &Answer, ways: &Ways<'_>) -> Vec<Notice> {
    let never = answer.never_known.iter();
    let notices = never.map(|need| {
        let told = Why::Unknown(*need).told(ways);
        Notice {
            links: told.next.into_iter().collect(),
            ..Notice::new(Tone::Plain, told.text)
        }
    });
    // Each of them has the same cause.
    let has_begun = answer.hubs.iter().any(|hub| hub.begins.is_some());
    notices
        .take(if has_begun { usize::MAX } else { 1 })
        .collect()
}

/// Whether its rows hold names and no number or moment.
fn has_no_figure(fragment: &Fragment) -> bool {
    let mut cells = fragment.rows.iter().flat_map(|row| {
        let cells = fragment.heads.iter().zip(row);
        cells.filter(|(head, _)| head.is_number && !head.is_name)
    });
    cells.all(|(_, cell)| cell.number.is_none() && cell.moment.is_none() && cell.day.is_none())
}

fn why(answer: &Answer) -> Why {
    let report = &answer.report;
    let Some(begins) = answer.hubs.iter().filter_map(|hub| hub.begins).min() else {
        return Why::NotBegun;
    };
    if answer.to < begins {
        return Why::Before(begins);
    }
    if report.needs.is_empty() {
        return Why::NoBinder;
    }
    // A report that begins with sessions has rows also where nobody measured what they used.
    let decides = |need: &&Need| match need {
        Need::Usage | Need::Storage => report.needs.first() == Some(*need),
        Need::Sessions | Need::Members | Need::Accounts | Need::Hooks => true,
    };
    if let Some(need) = answer.never_known.iter().find(decides) {
        return Why::Unknown(*need);
    }
    if answer.from <= begins {
        return Why::NothingYet(begins);
    }
    match report.usual_months {
        Some(usual) if answer.from > usual.before(answer.to) => Why::TooShort,
        _ => Why::Quiet(Length::of(answer)),
    }
}

impl Why {
    fn told(self, ways: &Ways<'_>) -> Nothing {
        let is_admin = ways
            .viewer
            .is_some_and(|viewer| viewer.standing == Standing::Admin);
        let health = || {
            let address = Address::below(ways.prefix, "checks");
            is_admin.then(|| Link::new("What is missing stands on Health", address))
        };
        let longer = |label: &str| {
            ways.longer
                .as_ref()
                .map(|address| Link::new(label, address))
        };
        let sees_aggregates = ways
            .viewer
            .is_none_or(|viewer| viewer.standing == Standing::Owner);
        let few = if sees_aggregates {
            ", or too few people are concerned"
        } else {
            ""
        };
        let (text, next) = match self {
            Self::NotBegun if is_admin => (
                "Nothing was collected yet. The first figures come a minute after the hub was read \
                 for the first time."
                    .to_owned(),
                health(),
            ),
            Self::NotBegun => ("Nothing was collected yet.".to_owned(), None),
            Self::Before(begins) => (
                format!("The history begins on {begins}: choose days after that."),
                longer("The last year"),
            ),
            Self::Unknown(need) if is_admin => (remedy(need, ways.usage_source), health()),
            Self::Unknown(need) => (plainly(need).to_owned(), None),
            Self::NoBinder if is_admin => (
                "No launch was told of: send the events of your BinderHub to `api/v1/events`, or name \
                 its log in `events.files`."
                    .to_owned(),
                None,
            ),
            Self::NoBinder => ("No launch was told of.".to_owned(), None),
            // A year of days may be shorter than the months that such a report is about.
            Self::TooShort => (
                "There is nothing to show: this is about months, and the period is shorter."
                    .to_owned(),
                ways.usual
                    .as_ref()
                    .map(|address| Link::new("Show as many months as it is usually about", address)),
            ),
            Self::NothingYet(begins) => (
                format!(
                    "There is nothing to show since the history began on {begins}: it did not \
                     happen, or too few days are known{few}."
                ),
                None,
            ),
            Self::Quiet(length) => (
                format!(
                    "There is nothing to show in this period: it did not happen, or too few days are \
                     known{few}. Choose another one."
                ),
                match length {
                    Length::Short => longer("Show a year"),
                    Length::AYear => None,
                },
            ),
        };
        Nothing { text, next }
    }
}

/// What an administrator does to have it.
fn remedy(need: Need, usage_source: Option<&str>) -> String {
    match (need, usage_source) {
        (Need::Sessions, _) => "Nothing was collected in this period: the service did not run, or did \
                                not reach the hub. Choose other days."
            .to_owned(),
        (Need::Members, _) => "Who is in which group is not known for this period. The hub has to have \
                               groups, and our role there the scopes `list:groups` and `read:groups`."
            .to_owned(),
        (Need::Accounts, _) => "New accounts are known from the second reading of the hub's users on, \
                                which was after this period."
            .to_owned(),
        (Need::Hooks, _) => "No logins and starts were told of: only the hub's own hooks see them. Add \
                             `import jupyterhub_insights` and `jupyterhub_insights.configure(c)` to \
                             `jupyterhub_config.py`, and start the hub again."
            .to_owned(),
        (Need::Usage, None) => "Nobody measures what servers use: set `prometheus.url` where servers are \
                                pods, or `usage.source = \"local\"` where they run on the same machine as \
                                this service."
            .to_owned(),
        (Need::Usage, Some(source)) => format!(
            "What servers use is read from `{source}`, and nothing of this period is there: figures \
             come when an hour is over."
        ),
        (Need::Storage, _) => "Nobody looks at sizes of homes: set `local.homes`, for instance to \
                               `/home/{username}`, or run prometheus-dirsize-exporter where \
                               `prometheus.url` leads."
            .to_owned(),
    }
}

/// The same for whoever cannot act on it.
fn plainly(need: Need) -> &'static str {
    match need {
        Need::Sessions => "Nothing was collected in this period: choose other days.",
        Need::Members => "Who is in which group is not known for this period: choose other days.",
        Need::Accounts => "New accounts are not known for this period: choose later days.",
        Need::Hooks => "This hub did not tell of logins and starts in this period.",
        Need::Usage => "Nobody measured what servers used in this period.",
        Need::Storage => "Nobody looked at sizes of homes in this period.",
    }
}

#[cfg(test)]
mod tests;
