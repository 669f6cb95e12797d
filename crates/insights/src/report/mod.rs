//! How the answer of a report is shown: one file per format.
//!
//! Plain data in, text out. What reports there are and how they are computed is the business of
//! [`store::report`], who may see an answer that of the command line and of [`crate::web`].
//!
//! Two readers: people get rounded values with units, in the hub's own time ([`value`]); programs get
//! plain numbers and moments in UTC. Unknown is not zero in any of them.

mod about;
mod fragment;
mod heading;
mod html;
mod json;
mod markdown;
pub mod overview;
mod picture;
mod terminal;
mod value;

#[cfg(test)]
mod tests;

pub use about::Whom;
pub use fragment::{
    Fragment, FragmentCell, FragmentFigure, FragmentHead, FragmentNumber, Named, question_html,
};
pub use html::content_security_policy;
pub use json::{ColumnOfReply, HubOfReply, PeriodOfReply, Reply, Rows};
pub use picture::{charts, svg};
pub use terminal::{Ink, Screen, write as write_for_terminal};
pub use value::number as number_of;

use std::io::Write;
use store::Format;
use store::report::Answer;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// Aligned columns, with small bars
    Table,
    /// Rows as objects, with the definition, source and age of the data
    Json,
    /// Rows with a head line, for a spreadsheet
    Csv,
    /// Rows with types, for data tools
    Parquet,
    /// A text with a table, for a wiki or an issue
    #[value(name = "md")]
    Markdown,
    /// One page that needs no network, with a picture
    Html,
    /// The picture alone, for mail and papers
    Svg,
}

impl ReportFormat {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Table,
        Self::Json,
        Self::Csv,
        Self::Parquet,
        Self::Markdown,
        Self::Html,
        Self::Svg,
    ];

    /// As in `--format` and `format=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Svg => "svg",
        }
    }

    /// As people call it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Table => "Text",
            Self::Json => "JSON",
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
            Self::Markdown => "Markdown",
            Self::Html => "HTML",
            Self::Svg => "SVG",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What a reply says that it holds.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Svg => "image/svg+xml",
        }
    }

    /// How the name of a file ends.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Table => "txt",
            other => other.name(),
        }
    }
}

/// What an answer is saved as: by its report and its period, and by no name of a user or group.
pub fn file_name(answer: &Answer, format: ReportFormat) -> String {
    let Answer {
        report, from, to, ..
    } = answer;
    let period = if from == to {
        from.to_string()
    } else {
        format!("{from}-to-{to}")
    };
    format!("{}-{period}.{}", report.name, format.extension())
}

/// Why an answer is no SVG: its report has no chart, or the answer no row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no picture of `{0}`: the report has none, or there is no row to draw")]
pub struct NoPicture(pub String);

/// Writes an answer. `pictures` are the answers that the page of an overview shows beside its
/// numbers; other reports and formats have none.
pub fn write(
    answer: &Answer,
    pictures: &[&Answer],
    format: ReportFormat,
    output: &mut impl Write,
) -> anyhow::Result<()> {
    match format {
        ReportFormat::Table => terminal::write(answer, Screen::default(), output)?,
        ReportFormat::Json => json::write(answer, output)?,
        ReportFormat::Csv => answer.table.write(Format::Csv, output)?,
        ReportFormat::Parquet => answer.table.write(Format::Parquet, output)?,
        ReportFormat::Markdown => output.write_all(markdown::text(answer).as_bytes())?,
        ReportFormat::Html => output.write_all(page(answer, pictures)?.as_bytes())?,
        ReportFormat::Svg => {
            let without = || NoPicture(answer.report.name.clone());
            let svg = picture::svg(answer).ok_or_else(without)?;
            writeln!(output, "{svg}")?;
        }
    }
    Ok(())
}

/// The page of an answer.
fn page(answer: &Answer, pictures: &[&Answer]) -> anyhow::Result<String> {
    match answer.report.name.as_str() {
        overview::NAME => overview::html(answer, pictures),
        _ => html::page(answer),
    }
}
