//! Reports through the service: who may read them, what is answered in which format, pages, tags,
//! and that the description tells the truth.
//!
//! One service for all tests: it keeps a hub of one user, beside the made-up history of another one.

mod schema;
mod site;

pub(crate) use site::stop_servers;

use crate::support::{duckdb, http, on_folder, until};
use insights::sim::DEMO_TOKEN;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use reqwest::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LINK,
};
use serde_json::{Value, json};
use site::{ADMIN, N_DAYS, PLAIN, USER, WRITER, reply, site};
use std::collections::BTreeSet;

pub(crate) const TESTS: &[crate::Test] = &[
    ("reports_are_for_administrators_only", who_may_read),
    (
        "every_report_is_listed_and_answered_as_the_description_says",
        every_report,
    ),
    (
        "every_other_address_answers_as_the_description_says",
        other_addresses,
    ),
    ("one_user_and_ten_years_are_answered", ten_years),
    (
        "an_answer_is_sent_again_only_when_rows_of_its_period_changed",
        tags,
    ),
    ("pages_lead_to_the_end_without_repeats", pages),
    ("every_format_has_its_type_and_the_same_rows", formats),
    ("a_page_loads_nothing_and_runs_our_script_only", page),
    (
        "wrong_questions_are_400_and_unknown_names_404",
        wrong_questions,
    ),
    (
        "the_sites_own_reports_stand_beside_ours_and_a_broken_one_is_named",
        own_reports,
    ),
];

fn today() -> Date {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    insights::poll::clock::now().to_zoned(zone).date()
}

/// A period of the past as an address says it: from and to so many days ago.
fn days_ago(from: i64, to: i64) -> String {
    let day = |ago: i64| today().saturating_sub(ago.days());
    format!("from={}&to={}", day(from), day(to))
}

fn rows(reply: &Value) -> &[Value] {
    reply["rows"].as_array().unwrap()
}

fn who_may_read() {
    let site = site();
    for token in [
        None,
        Some(PLAIN),
        Some(WRITER),
        Some(DEMO_TOKEN),
        Some("made-up"),
    ] {
        for below in ["reports", "reports/overview", "reports/no-such"] {
            let refused = site.get_with(below, token, None);
            assert_eq!(refused.status, 403, "{token:?} {below}");
            let told = refused.text();
            assert!(told.contains("admin:users"), "{told}");
            assert!(!told.contains("question"), "{told}");
        }
    }
    // It names nobody.
    assert_eq!(site.get_with("openapi.json", None, None).status, 200);
}

fn every_report() {
    let site = site();
    let description = site.get("openapi.json").json();
    let check = |path: &str, value: &Value| {
        let content = &description["paths"][path]["get"]["responses"]["200"]["content"];
        let schema = &content["application/json"]["schema"];
        let outcome = schema::check(&description, schema, value);
        outcome.unwrap_or_else(|why| panic!("{path}: {why}"));
    };
    let list = site.get("reports");
    assert_eq!(list.header(CACHE_CONTROL), "no-store");
    let list = list.json();
    check("/api/v1/reports", &list);
    let listed = on_folder(site.folder.path(), &["report", "--list"]).stdout;
    for line in listed.lines().filter_map(|line| line.strip_prefix("  ")) {
        let name = line.split_whitespace().next().unwrap();
        let is_there = list["reports"]
            .as_array()
            .unwrap()
            .iter()
            .any(|report| report["name"] == name);
        assert!(is_there, "{name}");
    }
    let begin = insights::poll::clock::now();
    for report in list["reports"].as_array().unwrap() {
        let name = report["name"].as_str().unwrap();
        let reply = site.get(&format!("reports/{name}?from=40+days+ago"));
        assert_eq!(reply.header(CONTENT_TYPE), "application/json");
        assert_eq!(reply.header(CACHE_CONTROL), "private, no-cache");
        let reply = reply.json();
        check("/api/v1/reports/{name}", &reply);
        assert_eq!(reply["report"], name);
        for key in ["title", "question", "definition", "columns"] {
            assert_eq!(reply[key], report[key], "{name}");
            assert_ne!(reply[key].to_string().len(), 2, "{name} says nothing");
        }
        let hubs = reply["hubs"].as_array().unwrap();
        let hubs: Vec<&Value> = hubs.iter().map(|hub| &hub["name"]).collect();
        assert_eq!(hubs, ["demo", "lab"], "{name}");
        let computed: Timestamp = reply["computed"].as_str().unwrap().parse().unwrap();
        assert!(computed >= begin - 2.minutes(), "{name}: {computed}");
        assert!(reply["age_seconds"].as_i64().unwrap() >= 0, "{name}");
        let n_columns = report["columns"].as_array().unwrap().len();
        let are_whole = |row: &Value| row.as_object().unwrap().len() == n_columns;
        assert!(rows(&reply).iter().all(are_whole), "{name}");
    }
}

fn other_addresses() {
    let site = site();
    let description = site.get("openapi.json").json();
    let check = |place: &str, value: &Value| {
        let content = description.pointer(place);
        let content = content.unwrap_or_else(|| panic!("nothing is said of {place}"));
        let schema = &content["content"]["application/json"]["schema"];
        let outcome = schema::check(&description, schema, value);
        outcome.unwrap_or_else(|why| panic!("{place}: {why}"));
    };
    let of_user = |below: &str| site.get_with(below, Some(USER), None);
    let me = of_user("me").json();
    assert_eq!(me["name"], "ada");
    check("/paths/~1api~1v1~1me/get/responses/200", &me);
    let last = of_user("me/sessions/last").json();
    assert_eq!(last["running"].as_array().unwrap().len(), 1, "{last}");
    let of_last = "/paths/~1api~1v1~1me~1sessions~1last/get/responses";
    check(&format!("{of_last}/200"), &last);
    let none = site.get("me/sessions/last");
    assert_eq!(none.status, 404, "{}", none.text());
    let told = serde_json::from_slice(&none.bytes).unwrap();
    check(&format!("{of_last}/404"), &told);
    assert_eq!(site.get("reports/sessions?user=ada").status, 200);
    // Looks are handed in to whoever keeps the history.
    let data = until("the look to be kept", || {
        let data = of_user("me/data");
        data.text().contains(r#""table":"audit""#).then_some(data)
    });
    let data = data.unwrap();
    assert_eq!(data.header(CONTENT_TYPE), "application/x-ndjson");
    let text = data.text();
    let mut tables = BTreeSet::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let table = row["table"].as_str().unwrap().to_owned();
        if table == "audit" {
            assert!(row["what"].to_string().contains("ada"), "{line}");
        } else {
            assert_eq!(row["user"], "ada", "{line}");
        }
        tables.insert(table);
    }
    // Also who looked at them.
    for table in ["audit", "running_sessions"] {
        assert!(tables.contains(table), "{table}: {text}");
    }

    let post = |below: &str, token: &str, body: &Value| {
        let place = format!("/paths/~1api~1v1~1{}/post", below.replace('/', "~1"));
        check(&format!("{place}/requestBody"), body);
        let request = http().post(site.url(below)).bearer_auth(token).json(body);
        let answer = reply(request);
        check_answer(&check, &place, &answer);
        answer
    };
    let rows = post("sql", ADMIN, &json!({"sql": "select 1 as n"})).json();
    assert_eq!(rows, json!([{"n": 1}]));
    assert_eq!(
        post("sql", ADMIN, &json!({"sql": "drop table events"})).status,
        400
    );
    let rejected = post("events", WRITER, &json!([{"kind": "no time"}])).json();
    assert_eq!(rejected["n_rejected"], 1);
    for (below, item) in [
        (
            "metrics/counter",
            json!({"event_type": "", "user": "ada", "amount": 2.0}),
        ),
        ("metrics/gauge", json!({"resource_type": "", "value": 2.0})),
        ("metrics/timing", json!({"operation": "", "seconds": 2.0})),
    ] {
        let rejected = post(below, WRITER, &item).json();
        assert_eq!(rejected["rejected"].as_array().unwrap().len(), 1, "{below}");
    }
    assert_eq!(post("sql", PLAIN, &json!({"sql": "select 1"})).status, 403);
}

/// Rows of queries are what the query says.
fn check_answer(check: &impl Fn(&str, &Value), place: &str, answer: &site::Reply) {
    let value: Value = serde_json::from_slice(&answer.bytes).unwrap();
    if !(place.contains("sql") && answer.status == 200) {
        check(&format!("{place}/responses/{}", answer.status), &value);
    }
}

fn ten_years() {
    let site = site();
    let ask = |name: &str, hub: &str| {
        let reply = site.get(&format!("reports/{name}?hub={hub}&from=10+years+ago"));
        let reply = reply.json();
        let hubs = reply["hubs"].as_array().unwrap();
        assert_eq!((hubs.len(), &hubs[0]["name"]), (1, &json!(hub)), "{name}");
        reply
    };
    // The hub of one user.
    for name in site.names() {
        ask(&name, "lab");
    }
    let days = ask("active-users", "demo");
    assert!((3_652..=3_654).contains(&rows(&days).len()));
}

fn tags() {
    let site = site();
    let old = format!("reports/active-users?{}", days_ago(N_DAYS - 2, N_DAYS - 8));
    let new = "reports/active-users?from=yesterday";
    let tag = |below: &str| site.get(below).header(ETAG).to_owned();
    let (old_tag, new_tag) = (tag(&old), tag(new));
    for known in [
        old_tag.clone(),
        old_tag.trim_start_matches("W/").to_owned(),
        format!("\"x\", {old_tag}"),
    ] {
        let same = site.get_with(&old, Some(ADMIN), Some(&known));
        assert_eq!((same.status, same.bytes.len()), (304, 0), "{known}");
        assert_eq!(same.header(ETAG), old_tag);
    }
    for other in [
        format!("{old}&format=csv"),
        format!("{old}&limit=3"),
        format!("{old}&hub=demo"),
    ] {
        assert_ne!(tag(&other), old_tag, "{other}");
        let whole = site.get_with(&other, Some(ADMIN), Some(&old_tag));
        assert_eq!(whole.status, 200, "{other}");
    }
    // Of this minute: nothing to a time that is over.
    site.post_login(insights::poll::clock::now());
    assert_eq!(tag(&old), old_tag);
    assert_ne!(tag(new), new_tag);
    let logins = old.replace("active-users", "logins");
    let (login_tag, before) = (tag(&logins), site.get(&logins).json());
    let late = today().saturating_sub((N_DAYS - 5).days());
    let noon = late.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
    site.post_login(noon.timestamp());
    let changed = site.get_with(&logins, Some(ADMIN), Some(&login_tag));
    assert_eq!(changed.status, 200);
    assert_eq!(rows(&changed.json()).len(), rows(&before).len());
    assert_ne!(tag(&old), old_tag, "a row of the period may matter");
}

fn pages() {
    let site = site();
    let question = format!("reports/sessions?{}", days_ago(40, 2));
    let whole = site.get(&question);
    assert!(whole.headers.get(LINK).is_none());
    let whole = rows(&whole.json()).to_vec();
    assert!(whole.len() > 100, "{}", whole.len());
    let mut url = site.url(&format!("{question}&limit={}", whole.len() / 7));
    let (mut all, mut n_pages) = (Vec::new(), 0);
    loop {
        let page = reply(http().get(url.clone()).bearer_auth(ADMIN));
        // Whatever comes in meanwhile is of the next answer.
        site.post_login(insights::poll::clock::now() - SignedDuration::from_hours(72));
        let page_json = page.json();
        assert_eq!(page_json["n_rows"], whole.len());
        all.extend(rows(&page_json).to_vec());
        n_pages += 1;
        let Some(link) = page.headers.get(LINK) else {
            break;
        };
        let link = link.to_str().unwrap().strip_prefix('<').unwrap();
        let next = link.strip_suffix(">; rel=\"next\"").unwrap();
        url = url.join(next).unwrap();
    }
    assert!((7..=8).contains(&n_pages), "{n_pages}");
    assert!(all == whole, "{} and {}", all.len(), whole.len());
    let other = site.get_with(
        &format!("{question}&offset=9&answer=other"),
        Some(ADMIN),
        None,
    );
    assert_eq!(other.status, 409, "{}", other.text());
    let behind = site.get(&format!("{question}&offset={}", whole.len()));
    assert!(behind.headers.get(LINK).is_none());
    assert!(rows(&behind.json()).is_empty());
}

fn formats() {
    let site = site();
    let question = format!("reports/active-users?hub=demo&{}", days_ago(30, 3));
    let ask = |format: &str| {
        let reply = site.get(&format!("{question}&format={format}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let policy = reply.header(CONTENT_SECURITY_POLICY);
        assert!(
            policy.contains("sandbox") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        reply
    };
    let json = ask("json").json();
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = |row: &Value| -> String {
        let cells: Vec<String> = row.as_object().unwrap().values().map(cell).collect();
        cells.join(",")
    };
    let expected: Vec<String> = rows(&json).iter().map(line).collect();
    assert_eq!(expected.len(), 28);
    let csv = ask("csv");
    assert_eq!(
        csv.header(CONTENT_TYPE),
        "text/csv; charset=utf-8; header=present"
    );
    let saved = csv.header(CONTENT_DISPOSITION);
    let named = |text: &str| text.starts_with("active-users-20") && text.contains("-to-20");
    let file = saved.strip_prefix("attachment; filename=\"").unwrap();
    assert!(named(file) && file.ends_with(".csv\""), "{saved}");
    let shown = ask("html").header(CONTENT_DISPOSITION).to_owned();
    let file = shown.strip_prefix("inline; filename=\"").unwrap();
    assert!(named(file) && file.ends_with(".html\""), "{shown}");
    let text = csv.text();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("hub,day,users,weekly,monthly,active"));
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    let parquet = ask("parquet");
    assert_eq!(
        parquet.header(CONTENT_TYPE),
        "application/vnd.apache.parquet"
    );
    assert_eq!(duckdb("parquet_rows.py", &[], &parquet.bytes), expected);
    let beginnings = [
        (
            "md",
            "text/markdown; charset=utf-8",
            "# Active users by day\n",
        ),
        ("html", "text/html; charset=utf-8", "<!doctype html>\n"),
        (
            "svg",
            "image/svg+xml",
            "<svg xmlns=\"http://www.w3.org/2000/svg\"",
        ),
        (
            "table",
            "text/plain; charset=utf-8",
            "Active users by day\n",
        ),
    ];
    for (format, kind, begin) in beginnings {
        let reply = ask(format);
        assert_eq!(reply.header(CONTENT_TYPE), kind);
        let text = reply.text();
        assert!(text.starts_with(begin), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        // The last day has a row in each of them; a picture names every few days.
        let day = rows(&json)[27]["day"].as_str().unwrap();
        assert!(format == "svg" || text.contains(day), "{text}");
    }
}

fn page() {
    let site = site();
    for name in ["overview", "retention"] {
        let page = site.get(&format!("reports/{name}?format=html&{}", days_ago(55, 1)));
        let (policy, text) = (page.header(CONTENT_SECURITY_POLICY), page.text());
        let own = text
            .split("Content-Security-Policy\" content=\"")
            .nth(1)
            .unwrap();
        let own = own.split('"').next().unwrap().replace("&#39;", "'");
        assert_eq!(
            policy,
            format!("{own}; sandbox allow-scripts; frame-ancestors 'none'")
        );
        assert!(own.contains("script-src 'sha256-"), "{own}");
        assert_eq!(text.matches("<script>").count(), 1);
        let outside = text.replace("http://www.w3.org/2000/svg", "");
        for word in [
            "http:", "https:", " src=", " href=", "@import", "url(//", " onload=",
        ] {
            assert!(!outside.contains(word), "{name}: {word}");
        }
    }
}

fn wrong_questions() {
    let site = site();
    let cases = [
        (
            "active-user",
            404,
            "there is no report `active-user`; did you mean `active-users`?",
        ),
        ("zzz", 404, "there is no report `zzz`"),
        (
            "active-users?hub=far",
            404,
            "the history knows no hub `far`; it knows `demo`, `lab`",
        ),
        (
            "active-users?group=nobody",
            404,
            "the history knows no group `nobody`",
        ),
        ("active-users?group=", 404, "the history knows no group ``"),
        (
            "active-users?from=2024-03-02&to=2024-03-01",
            400,
            "before it begins on 2024-03-02",
        ),
        (
            "active-users?from=2023-02-29",
            400,
            "`from`: `2023-02-29` is no time: expected",
        ),
        ("active-users?to=", 400, "`to`: `` is no time: expected"),
        (
            "active-users?from=1000+years+ago",
            400,
            " is longer than 50 years",
        ),
        (
            "active-users?from=9000-01-01&to=9000-01-02",
            400,
            "which is to come",
        ),
        (
            "active-users?from=today&from=yesterday",
            400,
            "`from` is given twice",
        ),
        (
            "active-users?nonsense=1",
            400,
            "has no parameter `nonsense`: it has none",
        ),
        (
            "new-users?by=year",
            400,
            "`by=year`: `by` is one of `week`, `month`",
        ),
        (
            "overview?user=ada",
            400,
            "the report `overview` is not about one user",
        ),
        (
            "active-users?limit=0",
            400,
            "`limit=0`: it is a whole number from 1 on",
        ),
        (
            "active-users?limit=many",
            400,
            "`limit=many`: it is a whole number",
        ),
        (
            "active-users?offset=-1",
            400,
            "`offset=-1`: it is a whole number from 0 on",
        ),
        (
            "active-users?format=doc",
            400,
            "`format=doc`: it is one of `table`, `json`",
        ),
        (
            "sessions?format=svg",
            400,
            "there is no picture of `sessions`",
        ),
    ];
    for (below, status, expected) in cases {
        let refused = site.get(&format!("reports/{below}"));
        assert_eq!(refused.status, status, "{below}: {}", refused.text());
        let told: Value = serde_json::from_slice(&refused.bytes).unwrap();
        assert_eq!(told["status"], status);
        let message = told["message"].as_str().unwrap();
        assert!(message.contains(expected), "{below}: {message}");
    }
    let log = site.service.process.output();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
}

fn own_reports() {
    let site = site();
    let names = site.names();
    assert_eq!(
        names.last().map(String::as_str),
        Some("images"),
        "{names:?}"
    );
    let reply = site.get("reports/images?hub=demo").json();
    assert!(rows(&reply)[0]["sessions"].as_i64() > Some(0), "{reply}");
    let hidden = site.get_with("reports/broken", Some(USER), None);
    let told = hidden.text();
    assert_eq!(hidden.status, 404, "{told}");
    for word in ["imago", ".sql"] {
        assert!(!told.contains(word), "{told}");
    }
    let broken = site.get("reports/broken");
    assert_eq!(broken.status, 400);
    let told = broken.text();
    assert!(
        told.contains("is no report") && told.contains("imago"),
        "{told}"
    );
    let log = site.service.process.output();
    let told = log.lines().find(|line| line.contains("broken.sql"));
    let told = told.unwrap_or_else(|| panic!("{log}"));
    assert!(told.contains("WARN") && told.contains("imago"), "{told}");
}
