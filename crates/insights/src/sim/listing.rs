//! How a list is asked for and how it is cut into pages.

use super::refusal::Refusal;
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, HOST};
use axum::http::request::Parts;
use serde::Serialize;
use std::convert::Infallible;
use url::form_urlencoded;

/// Who accepts this gets pages; everybody else a bare list, silently cut.
const PAGES: &str = "application/jupyterhub-pagination+json";
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// The query of a list and the form in which the list is wanted.
#[derive(Debug)]
pub(super) struct ListRequest {
    arguments: Vec<(String, String)>,
    form: Form,
    /// Without the query.
    url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Pages,
    BareList,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

/// Part of a list as the hub sends it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ListReply<T> {
    Pages {
        items: Vec<T>,
        #[serde(rename = "_pagination")]
        pagination: Pagination,
    },
    BareList(Vec<T>),
}

#[derive(Serialize)]
pub(super) struct Pagination {
    offset: usize,
    limit: usize,
    total: usize,
    next: Option<NextPage>,
}

#[derive(Serialize)]
struct NextPage {
    offset: usize,
    limit: usize,
    url: String,
}

impl Window {
    /// The rows that the window shows.
    pub(super) fn of<T>(self, rows: &[T]) -> &[T] {
        let rows = rows.get(self.offset..).unwrap_or_default();
        rows.get(..self.limit).unwrap_or(rows)
    }
}

impl ListRequest {
    /// The last value of the argument, as the hub takes it.
    pub(super) fn argument(&self, name: &str) -> Option<&str> {
        let mut values = self.arguments.iter().filter(|(known, _)| known == name);
        values.next_back().map(|(_, value)| value.trim())
    }

    pub(super) fn window(&self) -> Result<Window, Refusal> {
        let default = if self.form == Form::Pages {
            DEFAULT_LIMIT
        } else {
            MAX_LIMIT
        };
        let offset = self.argument("offset").map_or(Ok(0), parse_count)?;
        let limit = self.argument("limit").map_or(Ok(default), parse_count)?;
        Ok(Window {
            offset,
            limit: limit.clamp(1, MAX_LIMIT),
        })
    }

    /// `total` counts the rows of all pages.
    pub(super) fn reply<T>(&self, items: Vec<T>, window: Window, total: usize) -> ListReply<T> {
        if self.form == Form::BareList {
            return ListReply::BareList(items);
        }
        let Window { offset, limit } = window;
        let next_offset = offset.saturating_add(limit);
        let next = (next_offset < total).then(|| NextPage {
            offset: next_offset,
            limit,
            url: self.url_of(Window {
                offset: next_offset,
                limit,
            }),
        });
        ListReply::Pages {
            items,
            pagination: Pagination {
                offset,
                limit,
                total,
                next,
            },
        }
    }

    /// The request's own arguments stay in their places; the new ones replace theirs or follow.
    fn url_of(&self, window: Window) -> String {
        let mut arguments = self.arguments.clone();
        for (name, value) in [("offset", window.offset), ("limit", window.limit)] {
            let known = arguments.iter_mut().find(|(known, _)| known == name);
            match known {
                Some((_, text)) => *text = value.to_string(),
                None => arguments.push((name.to_owned(), value.to_string())),
            }
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(arguments)
            .finish();
        format!("{}?{query}", self.url)
    }
}

impl<S: Sync> FromRequestParts<S> for ListRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let query = parts.uri.query().unwrap_or_default();
        let wants_pages = header(ACCEPT).is_some_and(|accept| {
            accept
                .split(',')
                .any(|kind| kind.trim().eq_ignore_ascii_case(PAGES))
        });
        Ok(Self {
            arguments: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            form: if wants_pages {
                Form::Pages
            } else {
                Form::BareList
            },
            url: format!(
                "http://{}{}",
                header(HOST).unwrap_or("127.0.0.1"),
                parts.uri.path()
            ),
        })
    }
}

/// A sign is accepted and ignored; a count too large to hold is merely large.
fn parse_count(text: &str) -> Result<usize, Refusal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::bad_request(
            "Invalid argument type, offset and limit must be integers",
        ));
    }
    Ok(digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str, form: Form) -> ListRequest {
        let arguments = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        ListRequest {
            arguments,
            form,
            url: "http://hub/hub/api/users".into(),
        }
    }

    /// Offset and limit of the window, or the message.
    fn window(query: &str, form: Form) -> String {
        match request(query, form).window() {
            Ok(Window { offset, limit }) => format!("{offset} {limit}"),
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    #[test]
    fn a_page_is_50_long_unless_asked_and_never_above_200() {
        assert_eq!(window("", Form::Pages), "0 50");
        assert_eq!(window("", Form::BareList), "0 200");
        assert_eq!(window("limit=1000&offset=400", Form::Pages), "400 200");
        assert_eq!(window("limit=0", Form::Pages), "0 1");
        assert_eq!(window("limit=-7&offset=-3", Form::Pages), "3 7");
        assert_eq!(window("limit=5&limit=6", Form::Pages), "0 6");
        assert!(window("limit=many", Form::Pages).contains("must be integers"));
        assert!(window("offset=", Form::Pages).contains("must be integers"));
    }

    #[test]
    fn a_window_past_the_end_is_empty() {
        let rows = [1, 2, 3];
        let of = |offset, limit| Window { offset, limit }.of(&rows).to_vec();
        assert_eq!(of(1, 5), [2, 3]);
        assert_eq!(of(0, 2), [1, 2]);
        assert!(of(3, 5).is_empty());
        assert!(of(9, usize::MAX).is_empty());
    }

    #[test]
    fn the_next_page_is_named_with_the_requests_own_arguments() {
        let request = request("state=inactive&limit=3", Form::Pages);
        let window = request.window().unwrap();
        let reply = serde_json::to_value(request.reply(vec![0; 3], window, 7)).unwrap();
        assert_eq!(
            reply["_pagination"]["next"],
            serde_json::json!({
                "offset": 3,
                "limit": 3,
                "url": "http://hub/hub/api/users?state=inactive&limit=3&offset=3",
            })
        );
        let last = request.reply(
            vec![0],
            Window {
                offset: 6,
                limit: 3,
            },
            7,
        );
        assert!(serde_json::to_value(last).unwrap()["_pagination"]["next"].is_null());
    }
}
