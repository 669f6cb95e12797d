//! Events out again: `GET api/v1/events` in its formats, and the archive for everybody.

use crate::support::{Service, SimServer, block_on, duckdb, http, sql, until};
use insights::sim::DEMO_TOKEN;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use reqwest::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "events_come_out_in_three_formats_to_administrators_only",
        formats,
    ),
    ("wrong_questions_are_named_and_filters_are_bound", questions),
    ("a_reader_who_goes_away_stops_the_query", gone_readers),
    ("the_archive_is_written_and_names_nobody", archive),
];

const ADMIN: &str = "admin-of-all";
const PLAIN: &str = "somebody";
const WRITER: &str = "writer-token-0000000000000000";

struct Site {
    service: Service,
    folder: tempfile::TempDir,
    _hub: SimServer,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Reply {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        text.lines().map(str::to_owned).collect()
    }

    fn rows(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{:?}", self.lines());
        self.lines()
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn header(&self, name: impl reqwest::header::AsHeaderName) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Site {
    fn start(further: &[&str]) -> Self {
        let hub = SimServer::start(|world| {
            world.set_now(insights::poll::clock::now());
            world.add_token(ADMIN, "boss", &["admin:users"]);
            world.add_token(PLAIN, "tool", &["list:users", "read:groups", "list:groups"]);
        });
        let folder = tempfile::tempdir().unwrap();
        let path = format!("store.path={}", folder.path().join("store").display());
        let token = format!("events.token={WRITER}");
        let mut words = vec![
            "--set",
            "store.keep=always",
            "--set",
            "hub.timezone=Europe/Berlin",
        ];
        words.extend(["--set", &path, "--set", &token]);
        words.extend(further);
        let service = Service::start(&hub.url, DEMO_TOKEN, &words);
        let site = Self {
            service,
            folder,
            _hub: hub,
        };
        let is_open = until("the store to be open", || {
            (site.post(&[]).status == 200).then_some(())
        });
        assert!(is_open.is_some(), "{}", site.service.process.output());
        site
    }

    fn url(&self) -> String {
        format!("{}api/v1/events", self.service.url)
    }

    fn post(&self, events: &[Value]) -> Reply {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let request = http()
            .post(self.url())
            .bearer_auth(WRITER)
            .body(lines.join("\n"));
        reply(request)
    }

    fn get(&self, token: Option<&str>, query: &str, accept: Option<&str>) -> Reply {
        let mut request = http().get(format!("{}?{query}", self.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        reply(request)
    }
}

fn reply(request: reqwest::RequestBuilder) -> Reply {
    block_on(async {
        let response = request.send().await.unwrap();
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            bytes: response.bytes().await.unwrap().to_vec(),
        }
    })
}

fn today() -> Date {
    insights::poll::clock::now().to_zoned(TimeZone::UTC).date()
}

fn formats() {
    let site = Site::start(&[]);
    let day = today().saturating_sub(2.days());
    let events: Vec<Value> = (0..50_000)
        .map(|n| {
            json!({
                "kind": format!("k{}", n % 3), "id": format!("{n}"),
                "at": format!("{day}T{:02}:{:02}:{:02}.000007Z", n / 3600, n / 60 % 60, n % 60),
                "user": if n % 2 == 0 { json!("ada,\"x\"") } else { Value::Null },
                "detail": {"n": n},
            })
        })
        .collect();
    for part in events.chunks(25_000) {
        assert_eq!(site.post(part).status, 200);
    }
    for token in [
        None,
        Some(PLAIN),
        Some(WRITER),
        Some(DEMO_TOKEN),
        Some("made-up"),
    ] {
        let refused = site.get(token, "", None);
        assert_eq!(refused.status, 403, "{token:?}");
        assert!(
            refused.lines()[0].contains("admin:users"),
            "{:?}",
            refused.lines()
        );
    }
    let query = "source=other";
    let rows = site.get(Some(ADMIN), query, None);
    assert_eq!(rows.header(CONTENT_TYPE), "application/x-ndjson");
    assert_eq!(
        rows.header(CONTENT_DISPOSITION),
        "attachment; filename=\"events.ndjson\""
    );
    assert_eq!(rows.header("cache-control"), "no-store");
    let rows = rows.rows();
    assert_eq!(rows.len(), 50_000);
    assert!(rows.is_sorted_by_key(|row| row["at"].as_str().unwrap().to_owned()));
    assert_eq!(rows[1]["detail"], "{\"n\":1}");
    assert_eq!(
        (&rows[0]["user"], &rows[1]["user"]),
        (&json!("ada,\"x\""), &Value::Null)
    );

    let csv = site.get(Some(ADMIN), query, Some("text/csv"));
    assert_eq!(csv.header(CONTENT_TYPE), "text/csv; charset=utf-8");
    assert_eq!(csv.lines().len(), 50_001);
    let head = "at,not_before,kind,user,server,detail,source,schema,schema_version,id";
    assert_eq!(csv.lines()[0], head);
    let parquet = site.get(Some(ADMIN), "source=other&format=parquet", None);
    assert_eq!(
        parquet.header(CONTENT_TYPE),
        "application/vnd.apache.parquet"
    );
    let read = duckdb("parquet.py", &[], &parquet.bytes);
    let expected: Vec<String> = rows
        .iter()
        .map(|row| {
            let at: jiff::Timestamp = row["at"].as_str().unwrap().parse().unwrap();
            let user = row["user"].as_str().unwrap_or_default();
            format!(
                "{},{user},{}",
                row["kind"].as_str().unwrap(),
                at.as_microsecond()
            )
        })
        .collect();
    assert!(read == expected, "{:?}", &read[..2]);
}

fn questions() {
    let site = Site::start(&[]);
    let day = today().saturating_sub(2.days());
    let of = |kind: &str, user: &str, time: &str| {
        json!({"kind": kind, "user": user, "at": format!("{day}T{time}Z"), "source": "door",
               "schema": "https://example.org/door"})
    };
    let odd = "x' or 1=1 --";
    site.post(&[
        of("a", "ada", "10:00:00"),
        of("b", "bob", "11:00:00"),
        of(odd, "eve", "23:30:00"),
    ]);
    let kinds = |query: &str| -> Vec<String> {
        let rows = site
            .get(Some(ADMIN), &format!("source=door&{query}"), None)
            .rows();
        rows.iter()
            .map(|row| row["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(kinds(""), ["a", "b", odd]);
    assert_eq!(kinds("kind=a&kind=b"), ["a", "b"]);
    assert_eq!(kinds("kind=x%27+or+1%3D1+--"), [odd]);
    assert_eq!(kinds("user=bob"), ["b"]);
    assert_eq!(kinds("user=bob%27+or+%271%27%3D%271"), [""; 0]);
    assert_eq!(kinds("schema=https://example.org/door&limit=2"), ["a", "b"]);
    assert_eq!(
        kinds(&format!("from={day}T11:00:00Z&to={day}T23:30:00Z")),
        ["b"]
    );
    // Half past eleven at night in London is the next day in Berlin.
    let next = day.tomorrow().unwrap();
    assert_eq!(kinds(&format!("from={day}&to={next}")), ["a", "b"]);
    for (query, expected) in [
        ("form=csv", "unknown parameter `form`"),
        ("from=now", "`from` is neither a time"),
        ("limit=x", "`limit` is not a whole number"),
        (
            "format=json",
            "`format` is not `ndjson`, `csv` or `parquet`",
        ),
        ("limit=1&limit=2", "`limit` is given twice"),
    ] {
        let refused = site.get(Some(ADMIN), query, None);
        assert_eq!(refused.status, 400, "{query}");
        assert!(
            refused.lines()[0].contains(expected),
            "{:?}",
            refused.lines()
        );
    }
    let nothing = site.get(Some(ADMIN), "kind=nothing&format=csv", None);
    assert_eq!((nothing.status, nothing.lines().len()), (200, 1));
}

/// Two run at once and eight wait; those who left must not be among them.
fn gone_readers() {
    let site = Site::start(&[]);
    let day = today().saturating_sub(2.days());
    let long = "x".repeat(500);
    let events: Vec<Value> = (0..20_000)
        .map(|n| json!({"kind": "k", "id": format!("{n}"), "at": format!("{day}T10:00:00Z"), "detail": {"x": long}}))
        .collect();
    assert_eq!(site.post(&events).status, 200);
    for _ in 0..15 {
        let url = site.url();
        block_on(async move {
            let request = http().get(url).bearer_auth(ADMIN);
            let mut response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), 200);
            assert!(response.chunk().await.unwrap().is_some());
        });
    }
    let started = Instant::now();
    let answer = site.get(Some(ADMIN), "kind=k", None);
    assert_eq!((answer.status, answer.lines().len()), (200, 20_000));
    assert!(started.elapsed() < Duration::from_secs(30));
}

fn archive() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("public");
    let path = format!("archive.path={}", folder.display());
    let words = [
        "--set",
        &path,
        "--set",
        "archive.kinds=[\"door*\"]",
        "--set",
        "archive.keys=[\"room\"]",
    ];
    let site = Site::start(&words);
    let day = today().saturating_sub(2.days());
    let event = |n: u32| {
        json!({"kind": "door-open", "at": format!("{day}T10:00:{:02}Z", 59 - n), "user": "secret-ada",
               "detail": {"room": n, "who": "secret-ada"}})
    };
    assert_eq!(site.post(&[event(1), event(0), event(2)]).status, 200);
    // It is looked after at a start and every ten minutes.
    let words: Vec<&str> = words.to_vec();
    let store = site.folder.path().join("store");
    assert_eq!(
        sql(&store, "select count(*) from events where source = 'other'").rows(),
        ["3"]
    );
    let Site {
        service,
        folder: kept,
        _hub: hub,
    } = site;
    drop(service);
    let store = format!("store.path={}", kept.path().join("store").display());
    let all = [&words[..], &["--set", "store.keep=always", "--set", &store]].concat();
    let service = Service::start(&hub.url, DEMO_TOKEN, &all);
    let name = format!("events-{day}.jsonl");
    let index = until("the archive", || {
        std::fs::read_to_string(folder.join("index.jsonl")).ok()
    });
    let index = index.unwrap_or_else(|| panic!("{}", service.process.output()));
    assert_eq!(
        index,
        format!("{{\"name\":\"{name}\",\"date\":\"{day}\",\"count\":3}}\n")
    );
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let line = |n: u32| {
        format!("{{\"timestamp\":\"{day}T10:00:00+00:00\",\"kind\":\"door-open\",\"room\":{n}}}\n")
    };
    assert_eq!(text, (0..3).map(line).collect::<String>());
}
