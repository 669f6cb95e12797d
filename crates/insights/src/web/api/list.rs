//! `GET api/v1/events`: the events of a time, as NDJSON, CSV or Parquet, as they come.

use super::error::ApiError;
use crate::web::negotiation::quality;
use crate::web::visitor::Visitor;
use crate::web::{Site, audit, no_store};
use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fmt::Write as _;
use store::{AskError, Format, QueryError, StoreError, Value, Written};

/// Who may: an administrator.
pub(in crate::web) async fn list(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let zone = site.config.hub.time_zone();
    let asked = Asked::of(query.as_deref().unwrap_or_default(), &zone).map_err(ApiError::Bad)?;
    let format = asked.format.unwrap_or_else(|| wanted(&headers));
    let Some(history) = &site.asker else {
        return Err(ApiError::no_history());
    };
    audit::question(&site, &visitor, "events", asked.user.as_deref()).await?;
    let (sql, params) = asked.query(&site.config.hub.name);
    let params: Vec<(&str, Value)> = params
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let mut written = history.ask(&sql, &params, format.of_store()).await?;
    // What fails at once is an error, not half a file.
    let first = written.next().await.map_err(AskError::Query)?;
    let mut response = Body::from_stream(stream(first, written)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, format.content_type());
    let name = format!(
        "attachment; filename=\"{}.{}\"",
        asked.name(),
        format.extension()
    );
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    no_store(&mut response);
    Ok(response)
}

/// The pieces as a body. An error cuts it off, which clients notice; dropped, it stops the query.
pub(super) fn stream(
    first: Option<Vec<u8>>,
    written: Written,
) -> impl futures::Stream<Item = Result<Vec<u8>, QueryError>> {
    futures::stream::try_unfold((first, written), async |(first, mut written)| {
        let piece = match first {
            Some(piece) => Some(piece),
            None => written.next().await.inspect_err(|error| {
                tracing::warn!("An answer with events was cut off: {error}");
            })?,
        };
        Ok(piece.map(|piece| (piece, (None, written))))
    })
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Query(error @ QueryError::Busy) => Self::Busy(error.to_string()),
            AskError::Query(
                error @ (QueryError::TooLarge { .. } | QueryError::TimedOut { .. }),
            ) => Self::Bad(format!("{error}: ask for a shorter time, or set `limit`")),
            AskError::Store(error) if error.is_busy() => Self::Busy(StoreError::to_string(&error)),
            other => {
                let cause = anyhow::Error::from(other);
                tracing::error!("Events could not be read: {cause:#}");
                Self::Internal
            }
        }
    }
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ndjson,
    Csv,
    Parquet,
}

impl Kind {
    fn of_store(self) -> Format {
        match self {
            Self::Ndjson => Format::Ndjson,
            Self::Csv => Format::Csv,
            Self::Parquet => Format::Parquet,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        })
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// The format that the client likes best; NDJSON if it does not say.
fn wanted(headers: &HeaderMap) -> Kind {
    let csv = quality(headers, |kind, subtype| kind == "text" && subtype == "csv");
    let parquet = quality(headers, |_, subtype| subtype == "vnd.apache.parquet");
    let json = quality(headers, |_, subtype| {
        matches!(subtype, "x-ndjson" | "ndjson" | "jsonl" | "json")
    });
    if csv > parquet && csv > json {
        Kind::Csv
    } else if parquet > json {
        Kind::Parquet
    } else {
        Kind::Ndjson
    }
}

/// Which events.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    kinds: Vec<String>,
    user: Option<String>,
    schema: Option<String>,
    source: Option<String>,
    limit: Option<u64>,
    format: Option<Kind>,
}

const COLUMNS: &str = "\"at\", not_before, kind, \"user\", server, detail, source, schema, \
                       schema_version, id";
/// More are a mistake.
const MAX_KINDS: usize = 100;

impl Asked {
    fn of(query: &str, zone: &TimeZone) -> Result<Self, String> {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "from" => once(&mut asked.from, "from", time("from", &value, zone)?)?,
                "to" => once(&mut asked.to, "to", time("to", &value, zone)?)?,
                "kind" if asked.kinds.len() < MAX_KINDS => asked.kinds.push(value),
                "kind" => return Err(format!("`kind` is given more than {MAX_KINDS} times")),
                "user" => once(&mut asked.user, "user", value)?,
                "schema" => once(&mut asked.schema, "schema", value)?,
                "source" => once(&mut asked.source, "source", value)?,
                "limit" => once(&mut asked.limit, "limit", limit(&value)?)?,
                "format" => once(&mut asked.format, "format", format(&value)?)?,
                other => {
                    return Err(format!(
                        "unknown parameter `{other}`: there are `from`, `to`, `kind`, `user`, \
                         `schema`, `source`, `limit` and `format`"
                    ));
                }
            }
        }
        if let (Some(from), Some(to)) = (asked.from, asked.to)
            && from >= to
        {
            return Err("`from` is not before `to`".to_owned());
        }
        Ok(asked)
    }

    /// The query and its values: nothing that a client sent stands in its text.
    fn query(&self, hub: &str) -> (String, Vec<(String, Value)>) {
        let mut sql = format!("select {COLUMNS} from events where hub = $hub");
        let mut params = vec![("hub".to_owned(), Value::Text(hub.to_owned()))];
        let mut and = |condition: &str, name: &str, value: Option<Value>| {
            if let Some(value) = value {
                // Writing into a text does not fail.
                let _ = write!(sql, " and {condition} ${name}");
                params.push((name.to_owned(), value));
            }
        };
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        and("\"at\" >=", "from", self.from.map(Value::Time));
        and("\"at\" <", "to", self.to.map(Value::Time));
        and("\"user\" =", "user", text(&self.user));
        and("schema =", "schema", text(&self.schema));
        and("source =", "source", text(&self.source));
        if !self.kinds.is_empty() {
            let names: Vec<String> = (0..self.kinds.len()).map(|n| format!("$kind{n}")).collect();
            let _ = write!(sql, " and kind in ({})", names.join(", "));
            for (n, kind) in self.kinds.iter().enumerate() {
                params.push((format!("kind{n}"), Value::Text(kind.clone())));
            }
        }
        sql.push_str(" order by \"at\", id");
        if let Some(limit) = self.limit {
            let _ = write!(sql, " limit {limit}");
        }
        (sql, params)
    }

    /// What the file is called.
    fn name(&self) -> String {
        let day = |time: Timestamp| time.strftime("%F").to_string();
        let from = self.from.map(|from| format!("-{}", day(from)));
        let to = self.to.map(|to| format!("-to-{}", day(to)));
        format!(
            "events{}{}",
            from.unwrap_or_default(),
            to.unwrap_or_default()
        )
    }
}

fn once<T>(known: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match known.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("`{name}` is given twice")),
    }
}

/// A moment, or the beginning of a day of the hub's calendar.
fn time(name: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let day = || {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned(zone.clone()).ok()?.timestamp())
    };
    // A date alone is no moment, and the rest of what jiff reads is nobody's habit.
    let found = if text.len() == "2026-11-21".len() {
        day()
    } else {
        // `+` means a space in addresses, and few remember to write `%2B`.
        let text = text.replace(' ', "+");
        text.parse().ok().filter(|_| !text.contains('['))
    };
    found.ok_or_else(|| {
        format!(
            "`{name}` is neither a time such as `2026-11-21T10:00:00Z` nor a day such as `2026-11-21`"
        )
    })
}

fn limit(text: &str) -> Result<u64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|limit| (1..=i64::MAX as u64).contains(limit));
    number.ok_or_else(|| "`limit` is not a whole number from 1".to_owned())
}

fn format(text: &str) -> Result<Kind, String> {
    match text {
        "ndjson" => Ok(Kind::Ndjson),
        "csv" => Ok(Kind::Csv),
        "parquet" => Ok(Kind::Parquet),
        _ => Err("`format` is not `ndjson`, `csv` or `parquet`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, String> {
        Asked::of(query, &TimeZone::get("Europe/Berlin").unwrap())
    }

    #[test]
    fn what_is_asked_is_bound_and_never_pasted() {
        let query = "from=2026-11-21&to=2026-11-22T00:00:00%2B01:00&kind=a&kind=b%27--&user=o%27x\
                     &schema=s&source=hub&limit=7";
        let asked = asked(query).unwrap();
        let (sql, params) = asked.query("hub");
        assert_eq!(
            sql,
            format!(
                "select {COLUMNS} from events where hub = $hub and \"at\" >= $from and \"at\" < $to \
                 and \"user\" = $user and schema = $schema and source = $source and kind in \
                 ($kind0, $kind1) order by \"at\", id limit 7"
            )
        );
        let value = |name: &str| &params.iter().find(|(it, _)| it == name).unwrap().1;
        let time = |text: &str| Value::Time(text.parse().unwrap());
        assert_eq!(*value("from"), time("2026-11-20T23:00:00Z"));
        assert_eq!(*value("to"), time("2026-11-21T23:00:00Z"));
        assert_eq!(*value("user"), Value::Text("o'x".to_owned()));
        assert_eq!(*value("kind1"), Value::Text("b'--".to_owned()));
        assert_eq!(asked.name(), "events-2026-11-20-to-2026-11-21");
    }

    #[test]
    fn wrong_parameters_are_named_with_what_is_expected() {
        let check = |query: &str, expected: &str| assert_eq!(asked(query).unwrap_err(), expected);
        let no_time = "`from` is neither a time such as `2026-11-21T10:00:00Z` nor a day such as `2026-11-21`";
        for text in [
            "yesterday",
            "2026-02-30",
            "",
            "20261121",
            "2026-11-21T10:00:00",
        ] {
            check(&format!("from={text}"), no_time);
        }
        check("limit=0", "`limit` is not a whole number from 1");
        check("limit=-1", "`limit` is not a whole number from 1");
        check(
            "format=xlsx",
            "`format` is not `ndjson`, `csv` or `parquet`",
        );
        check("user=a&user=b", "`user` is given twice");
        check("from=2026-11-21&to=2026-11-21", "`from` is not before `to`");
        let unknown = "unknown parameter `users`: there are `from`, `to`, `kind`, `user`, `schema`, \
                       `source`, `limit` and `format`";
        check("users=ada", unknown);
        assert_eq!(asked("").unwrap(), Asked::default());
        assert_eq!(asked("").unwrap().name(), "events");
    }

    #[test]
    fn the_format_is_the_one_that_the_client_likes() {
        let check = |accept: &'static str| {
            wanted(&HeaderMap::from_iter([(
                header::ACCEPT,
                HeaderValue::from_static(accept),
            )]))
        };
        assert_eq!(check("*/*"), Kind::Ndjson);
        assert_eq!(check("text/csv"), Kind::Csv);
        assert_eq!(check("text/csv;q=0.5, application/x-ndjson"), Kind::Ndjson);
        assert_eq!(check("application/vnd.apache.parquet"), Kind::Parquet);
        assert_eq!(wanted(&HeaderMap::new()), Kind::Ndjson);
    }
}
