//! An answer as one page that needs no network: picture, rows, caveats, definition, source. Names
//! come from outside: all text is escaped, by askama or in [`escaped`], and nothing runs on the page
//! but our own script, by its hash.

use super::about::{self, Look, MADE_BY, MOST_ROWS, Piece, Quotes, Whom};
use super::heading::capital;
use super::picture;
use super::value::{Reader, Side};
use crate::chart::{self, Chart, Style};
use askama::Template;
use askama::filters::{Escaper as _, Html};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;
use store::Cell;
use store::report::Answer;

/// Letters of a text that may not be broken into lines.
const ONE_LINE: usize = 36;
/// The width of a picture as wide as the page.
pub(super) const WIDE: u32 = 920;

/// The looks of all pages of reports.
static CSS: LazyLock<String> =
    LazyLock::new(|| [chart::page_parts().css, include_str!("pages/report.css")].concat());

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = hash(&CSS);
    let script = hash(chart::page_parts().js);
    format!(
        "default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"
    )
});

/// What a page of a report may do: look as we say and run our script. The page says so itself; who
/// serves it says it in the head of the reply too.
pub fn content_security_policy() -> &'static str {
    &POLICY
}

/// What every page of reports has in its head and at its foot.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) policy: &'static str,
    pub(super) css: &'static str,
    pub(super) js: &'static str,
    pub(super) source: String,
    pub(super) made_by: &'static str,
}

impl Frame {
    pub(super) fn new(answer: &Answer) -> Self {
        Self {
            title: about::visible(&answer.report.title),
            policy: content_security_policy(),
            css: &CSS,
            js: chart::page_parts().js,
            source: about::source(answer),
            made_by: MADE_BY,
        }
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    frame: Frame,
    /// What the page is called where it is kept or has a tab.
    window: String,
    section: String,
    question_html: String,
    facts: Vec<Fact>,
    figures: Vec<Figure>,
    heads: Vec<Head>,
    rows: Vec<Vec<PageCell>>,
    nothing: String,
    more_rows: Option<String>,
    caveats_html: Vec<String>,
    definition_html: String,
}

/// Something that was asked for.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// A picture with its heading.
pub(super) struct Figure {
    /// Empty where the page's own heading says it.
    pub(super) title: String,
    pub(super) svg: String,
}

struct Head {
    /// Whether the column tells what a row is about.
    is_name: bool,
    heading: String,
    class: &'static str,
    doc_html: String,
}

struct PageCell {
    is_name: bool,
    class: &'static str,
    text: String,
}

/// The page of an answer.
pub(super) fn page(answer: &Answer) -> anyhow::Result<String> {
    let reader = Reader::new(answer);
    let report = &answer.report;
    let rows = answer.table.rows().take(MOST_ROWS);
    let page = ReportPage {
        frame: Frame::new(answer),
        window: window(answer),
        section: report.section.to_string(),
        question_html: words(&reader, Quotes::Columns, &report.question),
        facts: facts(answer),
        figures: figures(answer),
        heads: heads(&reader),
        rows: rows.map(|row| cells(&reader, &row)).collect(),
        nothing: about::nothing(answer),
        more_rows: about::more_rows(answer, MOST_ROWS),
        caveats_html: answer
            .caveats
            .iter()
            .map(|caveat| caveat_words(&reader, caveat))
            .collect(),
        definition_html: words(&reader, Quotes::Columns, &report.definition),
    };
    Ok(page.render()?)
}

/// The title of the report, whom it is about, and of when it is.
fn window(answer: &Answer) -> String {
    let title = about::visible(&answer.report.title);
    let whom = Whom::of(answer).in_words(None);
    let days = about::days(answer.from, answer.to);
    let parts = [Some(title), whom, Some(days)].into_iter().flatten();
    parts.collect::<Vec<_>>().join(", ")
}

/// What was asked.
pub(super) fn facts(answer: &Answer) -> Vec<Fact> {
    let n_days = about::n_days(answer);
    let days = if n_days == 1 { "day" } else { "days" };
    let period = format!("{} ({n_days} {days})", about::days(answer.from, answer.to));
    let fact = |name, text| Fact { name, text };
    let mut facts = vec![
        fact("Period", period),
        fact(about::hub_or_hubs(answer), about::hubs(answer)),
    ];
    facts.extend(
        Whom::of(answer)
            .in_words(None)
            .map(|whom| fact("About", whom)),
    );
    let parameters = about::parameters(answer);
    if !parameters.is_empty() {
        facts.push(fact("Chosen", parameters.join(", ")));
    }
    facts
}

fn figures(answer: &Answer) -> Vec<Figure> {
    let charts = picture::charts(answer);
    let page = format!("{}: ", about::visible(&answer.report.title));
    let figures = charts.into_iter().map(|chart| Figure {
        svg: drawn(&chart, WIDE),
        title: chart
            .title
            .strip_prefix(&page)
            .map(capital)
            .unwrap_or_default(),
    });
    figures.collect()
}

/// A chart of this width, as it stands in a page.
pub(super) fn drawn(chart: &Chart, width: u32) -> String {
    chart.svg(chart.size(width, Style::Themed), Style::Themed)
}

fn heads(reader: &Reader<'_>) -> Vec<Head> {
    let heads = reader.columns().map(|shown| Head {
        is_name: shown.names_rows(),
        class: class(shown.side(), &shown.heading),
        heading: shown.heading.clone(),
        doc_html: words(reader, Quotes::of_column(shown.column), &shown.column.doc),
    });
    heads.collect()
}

fn cells(reader: &Reader<'_>, row: &[Cell]) -> Vec<PageCell> {
    let cells = reader.columns().map(|shown| {
        let text = reader.text(shown, row);
        let class = class(shown.side(), &text);
        PageCell {
            is_name: shown.names_rows(),
            class,
            text,
        }
    });
    cells.collect()
}

fn class(side: Side, text: &str) -> &'static str {
    match side {
        Side::Right => "number",
        Side::Left if text.chars().count() <= ONE_LINE => "short",
        Side::Left => "long",
    }
}

/// A question or a definition as HTML.
pub(super) fn words(reader: &Reader<'_>, quotes: Quotes, text: &str) -> String {
    let pieces = about::pieces(reader, quotes, text);
    pieces.iter().map(piece).collect()
}

/// A caveat as HTML.
pub(super) fn caveat_words(reader: &Reader<'_>, caveat: &str) -> String {
    words(reader, Quotes::of_caveat(reader.answer, caveat), caveat)
}

/// A part of it.
pub(super) fn piece(piece: &Piece) -> String {
    let text = escaped(&piece.text);
    match piece.look {
        Look::Plain => text,
        Look::Column => format!("<em>{text}</em>"),
        Look::Code => format!("<code>{text}</code>"),
    }
}

/// Text in which nothing is markup.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Writing to a string does not fail.
    let _ = Html.write_escaped_str(&mut escaped, text);
    escaped
}

/// How a policy names a style sheet or a script.
fn hash(content: &str) -> String {
    format!(
        "sha256-{}",
        STANDARD.encode(Sha256::digest(content.as_bytes()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_cannot_end_early() {
        assert!(!CSS.contains("</"));
        assert!(!chart::page_parts().js.contains("</script"));
        assert!(!chart::page_parts().js.contains("<!--"));
    }
}
