//! A question about a report as an address says it, and which rows of a JSON answer are sent.

use crate::answers::Request;
use crate::report::{ReportFormat, file_name};
use axum::http::HeaderValue;
use std::collections::BTreeSet;
use std::ops::Range;
use store::report::Answer;

/// Rows of a JSON answer, if nobody says how many; the header `Link` names the next ones.
const USUAL_ROWS: usize = 10_000;
const MOST_ROWS: usize = 100_000;

/// Which rows of a JSON answer are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Rows before the first.
    pub(super) offset: usize,
    /// At most so many.
    pub(super) limit: usize,
    /// The answer that they are of; of the first page it is the one that is asked for.
    pub(super) of: Option<String>,
}

impl Page {
    /// Of so many.
    pub(super) fn rows(&self, n_rows: usize) -> Range<usize> {
        let first = self.offset.min(n_rows);
        first..first.saturating_add(self.limit).min(n_rows)
    }
}

/// A question as the address says it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) format: ReportFormat,
    pub(super) page: Page,
    /// Keys and values but those of the period and the page.
    pub(super) others: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn of(name: String, query: &str) -> Result<Self, String> {
        let mut asked = Self {
            request: Request {
                name,
                ..Request::default()
            },
            format: ReportFormat::Json,
            page: Page {
                offset: 0,
                limit: USUAL_ROWS,
                of: None,
            },
            others: Vec::new(),
        };
        let mut keys = BTreeSet::new();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            if !keys.insert(key.to_string()) {
                return Err(format!("`{key}` is given twice"));
            }
            if !matches!(key.as_ref(), "from" | "to" | "offset" | "limit" | "answer") {
                asked.others.push((key.to_string(), value.clone()));
            }
            let request = &mut asked.request;
            match key.as_ref() {
                "from" => request.from = Some(value),
                "to" => request.to = Some(value),
                "hub" => request.hub = Some(value),
                "group" => request.group = Some(value),
                "user" => request.user = Some(value),
                "format" => asked.format = format_of(&value)?,
                "offset" => asked.page.offset = number("offset", &value, 0)?,
                "answer" => asked.page.of = Some(value),
                "limit" => asked.page.limit = number("limit", &value, 1)?.min(MOST_ROWS),
                _ => {
                    request.choices.insert(key.into_owned(), value);
                }
            }
        }
        Ok(asked)
    }

    /// What a browser does with the answer: it keeps what is for other programs, and shows the rest.
    pub(super) fn disposition(&self, answer: &Answer) -> Option<HeaderValue> {
        let does = match self.format {
            ReportFormat::Json | ReportFormat::Html | ReportFormat::Table => "inline",
            ReportFormat::Csv
            | ReportFormat::Parquet
            | ReportFormat::Markdown
            | ReportFormat::Svg => "attachment",
        };
        let name = file_name(answer, self.format);
        // The name is a report's, small letters, digits and `-`, and has days.
        HeaderValue::from_str(&format!("{does}; filename=\"{name}\"")).ok()
    }
}

fn format_of(text: &str) -> Result<ReportFormat, String> {
    ReportFormat::from_name(text).ok_or_else(|| {
        let names = ReportFormat::ALL.map(ReportFormat::name);
        format!("`format={text}`: it is one of `{}`", names.join("`, `"))
    })
}

fn number(key: &str, text: &str, least: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("`{key}={text}`: it is a whole number from {least} on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_question() {
        let asked = Asked::of(
            "new-users".to_owned(),
            "from=3+months+ago&by=week&group=a%26b&format=csv&limit=5",
        );
        let asked = asked.unwrap();
        assert_eq!(asked.request.from.as_deref(), Some("3 months ago"));
        assert_eq!(asked.request.group.as_deref(), Some("a&b"));
        assert_eq!(asked.request.choices["by"], "week");
        assert_eq!((asked.format, asked.page.limit), (ReportFormat::Csv, 5));
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        let wrong = |query: &str| Asked::of("x".to_owned(), query).unwrap_err();
        assert_eq!(
            wrong("limit=0"),
            "`limit=0`: it is a whole number from 1 on"
        );
        assert_eq!(
            wrong("from=today&by=week&from=now"),
            "`from` is given twice"
        );
        assert!(wrong("format=doc").starts_with("`format=doc`: it is one of `table`"));
    }
}
