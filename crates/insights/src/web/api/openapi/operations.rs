//! What programs may send to each address of [`ROUTES`] and what comes back. Who may ask, and what an
//! address is for, stands there; how all of it is written as OpenAPI, in [`super`].
//!
//! [`ROUTES`]: crate::web::ROUTES

use super::super::custom::{self, Counter, Gauge, Timing};
use super::super::events;
use super::super::me::Me;
use super::super::reports::List;
use super::super::sql::SqlQuestion;
use crate::me::LastSession;
use crate::report::{Reply, ReportFormat};
use crate::web::shares;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// One address with one method.
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// As in the list of addresses.
    pub(super) path: &'static str,
    /// What to know beside what the list of addresses says; may be empty.
    pub(super) note: &'static str,
    pub(super) keys: &'static [Key],
    pub(super) sends: Option<fn(&mut SchemaGenerator) -> Contents>,
    pub(super) gets: fn(&mut SchemaGenerator) -> Contents,
    /// Refusals of its own, beside those of the token and of a service that is busy.
    pub(super) refusals: &'static [Refused],
}

/// Media types with what they hold.
pub(super) type Contents = Map<String, Value>;

/// A status and what it means.
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) why: &'static str,
}

/// Something that an address or a head may say.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    /// As JSON Schema names it.
    pub(super) kind: &'static str,
    pub(super) doc: &'static str,
}

const fn in_path(name: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        place: "path",
        kind: "string",
        doc,
    }
}

const fn text(name: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        place: "query",
        kind: "string",
        doc,
    }
}

const fn number(name: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        place: "query",
        kind: "integer",
        doc,
    }
}

const fn refused(status: u16, why: &'static str) -> Refused {
    Refused { status, why }
}

const OF_REPORT: &[Key] = &[
    in_path("name", "The report, as the list names it."),
    text(
        "from",
        "First day: a date, `3 months ago`; without it the last 30 days, if the report says no other period.",
    ),
    text("to", "Last day; today if not said."),
    text("hub", "Only this hub."),
    text(
        "group",
        "Only members of this group, on the days they were.",
    ),
    text("user", "Only this person."),
    text(
        "format",
        "`json`, `csv`, `parquet`, `md`, `html`, `svg` or `table`.",
    ),
    number("offset", "Of JSON: rows before the first."),
    number(
        "limit",
        "Of JSON: at most so many rows, 1 to 100000; 10000 if not said.",
    ),
    text(
        "answer",
        "Of JSON: the answer whose rows go on, as the header `Link` names it.",
    ),
];

const OF_EVENTS: &[Key] = &[
    text(
        "from",
        "From then on: `2026-11-21T10:00:00Z`, or a day of the hub's calendar.",
    ),
    text("to", "Before then."),
    text("kind", "Only this kind; may be given several times."),
    text("user", "Only about this person."),
    text("schema", "Only of this schema."),
    text("source", "Only from this sender."),
    number("limit", "At most so many."),
    text(
        "format",
        "`ndjson`, `csv` or `parquet`; without it what `Accept` says.",
    ),
];

const OF_SHARE: &[Key] = &[
    in_path("token", "The secret of the link."),
    in_path("format", "`csv`, `json` or `md`."),
];

const OF_NUMBERS: &[Key] = &[Key {
    name: "Idempotency-Key",
    place: "header",
    kind: "string",
    doc: "What was sent with the same key before counts once; 1 to 200 ASCII characters.",
}];

const WRONG_QUESTION: Refused = refused(400, "A question that cannot be asked.");
const WRONG_BODY: Refused = refused(400, "A head or body that cannot be read.");
const LATE: Refused = refused(408, "The body did not come to its end: send it again.");
const TOO_LARGE: Refused = refused(
    413,
    "Too many items, or more than 16 MiB: send it in parts.",
);

/// All of them.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        method: "GET",
        path: "api/v1/reports",
        note: "In the order of the table of contents.",
        keys: &[],
        sends: None,
        gets: json_of::<List>,
        refusals: &[],
    },
    Operation {
        method: "GET",
        path: "api/v1/reports/{name}",
        note: "With its definition, source and age. Its own parameters stand beside the others, as \
               `by=week`. Of JSON with more rows than `limit` the header `Link` names the next ones.",
        keys: OF_REPORT,
        sends: None,
        gets: of_report,
        refusals: &[
            refused(304, "The answer is the one that `If-None-Match` names."),
            WRONG_QUESTION,
            refused(404, "There is no such report, hub or group."),
            refused(
                409,
                "The answer that the page goes on from is gone: begin again with the first page.",
            ),
        ],
    },
    Operation {
        method: "GET",
        path: "api/v1/me",
        note: "",
        keys: &[],
        sends: None,
        gets: json_of::<Me>,
        refusals: &[],
    },
    Operation {
        method: "GET",
        path: "api/v1/me/sessions/last",
        note: "The session that ended last and what runs, with what was used.",
        keys: &[],
        sends: None,
        gets: json_of::<LastSession>,
        refusals: &[refused(404, "They had no server yet.")],
    },
    Operation {
        method: "GET",
        path: "api/v1/me/data",
        note: "A JSON object a line; `table` says which table the row is of.",
        keys: &[],
        sends: None,
        gets: |_| files(&["application/x-ndjson"]),
        refusals: &[],
    },
    Operation {
        method: "POST",
        path: "api/v1/sql",
        note: "One `select` over the tables and views. It is kept in `audit`.",
        keys: &[],
        sends: Some(json_of::<SqlQuestion>),
        gets: |_| {
            files(&[
                "application/json",
                "application/x-ndjson",
                "text/csv",
                "application/vnd.apache.parquet",
            ])
        },
        refusals: &[
            refused(400, "A query that cannot be run; the message says why."),
            refused(401, "The login is more than ten minutes old."),
        ],
    },
    Operation {
        method: "GET",
        path: "api/v1/events",
        note: "",
        keys: OF_EVENTS,
        sends: None,
        gets: |_| {
            files(&[
                "application/x-ndjson",
                "text/csv",
                "application/vnd.apache.parquet",
            ])
        },
        refusals: &[WRONG_QUESTION],
    },
    Operation {
        method: "POST",
        path: "api/v1/events",
        note: "One object, an array, or an object a line; gzip or not. Answered once they are on the \
               disk.",
        keys: &[],
        sends: Some(|_| items_of(&json!({"type": "object"}))),
        gets: json_of::<events::TakenReply>,
        refusals: &[WRONG_BODY, LATE, TOO_LARGE],
    },
    numbers("api/v1/metrics/counter", |generator| {
        items_of(&json!(generator.subschema_for::<Counter>()))
    }),
    numbers("api/v1/metrics/gauge", |generator| {
        items_of(&json!(generator.subschema_for::<Gauge>()))
    }),
    numbers("api/v1/metrics/timing", |generator| {
        items_of(&json!(generator.subschema_for::<Timing>()))
    }),
    Operation {
        method: "GET",
        path: "api/v1/openapi.json",
        note: "",
        keys: &[],
        sends: None,
        gets: |_| files(&["application/json"]),
        refusals: &[],
    },
    Operation {
        method: "GET",
        path: "shared/{token}/{format}",
        note: "",
        keys: OF_SHARE,
        sends: None,
        gets: |_| files(&shares::FILES.map(media_type)),
        refusals: &[
            refused(404, "There is no such link."),
            refused(410, "The link expired or was revoked."),
        ],
    },
];

const fn numbers(path: &'static str, sends: fn(&mut SchemaGenerator) -> Contents) -> Operation {
    Operation {
        method: "POST",
        path,
        note: "One object, an array, or an object a line. Names are those that \
               `metrics.custom_allowed` allows. Answered once they are on the disk.",
        keys: OF_NUMBERS,
        sends: Some(sends),
        gets: json_of::<custom::CountedReply>,
        refusals: &[WRONG_BODY, LATE, TOO_LARGE],
    }
}

fn json_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Contents {
    let schema = generator.subschema_for::<T>();
    Map::from_iter([("application/json".to_owned(), json!({"schema": schema}))])
}

fn files(kinds: &[&str]) -> Contents {
    let kinds = kinds.iter().map(|kind| ((*kind).to_owned(), json!({})));
    kinds.collect()
}

/// Items in the forms in which they may be sent.
fn items_of(item: &Value) -> Contents {
    let in_json = json!({"schema": {"anyOf": [item, {"type": "array", "items": item}]}});
    Map::from_iter([
        ("application/json".to_owned(), in_json),
        ("application/x-ndjson".to_owned(), json!({})),
    ])
}

fn of_report(generator: &mut SchemaGenerator) -> Contents {
    let mut contents = files(&ReportFormat::ALL.map(media_type));
    contents.extend(json_of::<Reply<'static>>(generator));
    contents
}

/// Without its parameters, which OpenAPI leaves out.
fn media_type(format: ReportFormat) -> &'static str {
    let kind = format.content_type().split(';').next();
    kind.unwrap_or_default()
}
