//! Items of every dialect, and those that nobody can read.

use super::*;
use serde_json::json;

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn read_all(lines: &[&str]) -> Vec<Item> {
    let mut reader = Reader::new("hub".into());
    let items = lines.iter().map(|line| reader.read(line.as_bytes(), now()));
    items.collect()
}

#[track_caller]
fn event(line: &str) -> Event {
    match read_all(&[line]).remove(0) {
        Item::Event(event) => *event,
        Item::Rejected(rejected) => panic!("{rejected:?}"),
    }
}

/// Kind, time, user, server and detail as text.
#[track_caller]
fn check(line: &str, expected: &str) {
    let event = event(line);
    let or_none = |text: Option<&str>| text.map_or("-".to_owned(), |text| format!("`{text}`"));
    let user = event.user.as_ref().map(|user| user.as_str().to_owned());
    let shown = format!(
        "{} at {} by {}: {} {} {}",
        event.kind,
        event.at,
        event.source,
        or_none(user.as_deref()),
        or_none(event.server.as_deref()),
        event.detail.as_deref().unwrap_or("-")
    );
    assert_eq!(shown, expected, "{line}");
}

#[track_caller]
fn refused(item: &[u8], expected: &str) {
    let mut reader = Reader::new("hub".into());
    match reader.read(item, now()) {
        Item::Event(event) => panic!("{event:?}"),
        Item::Rejected(rejected) => assert_eq!(rejected.reason, expected),
    }
}

#[test]
fn events_of_all_hubs_are_understood() {
    let six = r#"{"__timestamp__":"2026-11-20T22:02:37.133561+00:00Z","__schema__":"https://schema.jupyter.org/jupyterhub/events/server-action","__schema_version__":"1","__metadata_version__":1,"action":"start","username":"ada","servername":""}"#;
    check(
        six,
        "server-start at 2026-11-20T22:02:37.133561Z by hub: `ada` `` -",
    );
    let four = r#"{"__timestamp__":"2026-11-20T22:03:47.493166Z","__schema__":"hub.jupyter.org/server-action","__schema_version__":1,"__metadata_version__":1,"action":"stop","username":"ada","servername":"lab"}"#;
    check(
        four,
        "server-stop at 2026-11-20T22:03:47.493166Z by hub: `ada` `lab` -",
    );
    assert_eq!(event(four).schema_version.as_deref(), Some("1"));
    assert!(store::fact_of(&event(six)).is_some());
    let other = r#"{"__timestamp__":"2026-11-20T22:03:47Z","__schema__":"https://example.org/labs/door","__schema_version__":"2","__metadata_version__":1,"username":"ada","room":7}"#;
    check(
        other,
        r#"door at 2026-11-20T22:03:47Z by hub: `ada` - {"room":7}"#,
    );
}

#[test]
fn a_schema_of_others_does_not_happen_to_speak_of_servers() {
    let line = r#"{"__timestamp__":"2026-11-20T22:03:47Z","__schema__":"https://example.org/server-stop","username":"ada","servername":""}"#;
    assert_eq!(&*event(line).kind, "https://example.org/server-stop");
    assert_eq!(store::fact_of(&event(line)), None);
}

#[test]
fn the_generic_form_is_understood_and_held_to() {
    let line = r#"{"id":"1","at":"2026-11-20T22:03:47Z","kind":"login","user":"ada","source":"hooks","detail":{"b":[{"d":1,"c":2}],"a":null}}"#;
    check(
        line,
        r#"login at 2026-11-20T22:03:47Z by hooks: `ada` - {"a":null,"b":[{"c":2,"d":1}]}"#,
    );
    let died = r#"{"at":"2026-11-20T22:03:47Z","kind":"server-died","user":"ada","server":"","detail":{"spawner":"X"}}"#;
    assert!(store::fact_of(&event(died)).is_some());
    let of = |object: serde_json::Value| object.to_string().into_bytes();
    let at = "2026-11-20T22:03:47Z";
    refused(&of(json!({"kind": "x"})), "`at` is missing");
    refused(
        &of(json!({"kind": 7, "at": at})),
        "`kind` is a number, not text",
    );
    refused(&of(json!({"kind": "", "at": at})), "`kind` is empty");
    refused(
        &of(json!({"kind": "x", "at": at, "user": 1})),
        "`user` is a number, not text",
    );
    refused(
        &of(json!({"kind": "x", "at": at, "user": "a\0"})),
        "`user` holds a control character",
    );
    refused(
        &of(json!({"kind": "x", "at": at, "usr": "ada"})),
        "unknown key `usr`: put it into `detail`",
    );
    refused(
        &of(json!({"kind": "x", "at": at, "detail": []})),
        "`detail` is a list, not an object",
    );
    refused(
        &of(json!({"kind": "server-seen", "at": at})),
        "the kind `server-seen` is what polling sees; choose another name",
    );
    refused(
        &of(json!({"kind": "x", "at": at, "source": "poll"})),
        "`source` is `poll`, which is this service itself",
    );
    refused(
        &of(json!({"kind": "x".repeat(2000), "at": at})),
        "`kind` is longer than 1024 bytes",
    );
}

#[test]
fn rubbish_is_named_and_kept() {
    refused(
        b"",
        "not JSON: EOF while parsing a value at line 1 column 0",
    );
    refused(b"7", "a number, not a JSON object");
    refused(b"[1]", "a list, not a JSON object");
    refused(b"{\"a\":\xff}", "not UTF-8 at byte 5");
    refused(
        b"{}",
        "no known form: an event of a hub has `__schema__`, one of a BinderHub `schema` and \
         `timestamp`, any other `kind` and `at`",
    );
    let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
    refused(
        &deep,
        "not JSON: recursion limit exceeded at line 1 column 128",
    );
    refused(&vec![b' '; ITEM_MAX_BYTES + 1], "longer than 1 MiB");
    let long = Rejected::new("x", "ä".repeat(60_000).as_bytes());
    assert!(long.text.len() <= KEPT_BYTES);
}

#[test]
fn equal_items_are_one_event_and_equal_lines_of_an_archive_are_several() {
    let launch = r#"{"timestamp":"2026-03-08T20:07:00+00:00","schema":"binderhub.jupyter.org/launch","version":5,"provider":"GitHub","spec":"a/b/main","ref":"c","status":"success","origin":"x","build_token":false}"#;
    check(
        launch,
        r#"binder-launch at 2026-03-08T20:07:00Z by binderhub: - - {"build_token":false,"origin":"x","provider":"GitHub","ref":"c","spec":"a/b/main","status":"success"}"#,
    );
    let ids = |lines: &[&str]| -> Vec<RowId> {
        let items = read_all(lines).into_iter();
        items
            .map(|item| match item {
                Item::Event(event) => event.id,
                Item::Rejected(rejected) => panic!("{rejected:?}"),
            })
            .collect()
    };
    let day = ids(&[launch; 50]);
    let distinct: std::collections::BTreeSet<_> = day.iter().collect();
    assert_eq!(distinct.len(), 50);
    assert_eq!(ids(&[launch; 50]), day, "the same file again");
    // As BinderHub itself sends it, to the microsecond: the same twice is the same.
    let exact = launch.replace("20:07:00+00:00", "20:07:00.000001Z");
    let twice = ids(&[&exact, &exact]);
    assert_eq!(twice[0], twice[1]);
    let generic = r#"{"at":"2026-11-20T22:03:47Z","kind":"login","detail":{"a":1,"b":2}}"#;
    let turned = r#"{"detail":{"b":2,"a":1},"kind":"login","at":"2026-11-20T23:03:47+01:00"}"#;
    let same = ids(&[generic, turned]);
    assert_eq!(same[0], same[1]);
    let named = r#"{"id":"7","at":"2026-11-20T22:03:47Z","kind":"login"}"#;
    let renamed = r#"{"id":"7","at":"2026-11-20T22:03:48Z","kind":"login"}"#;
    let same = ids(&[named, renamed]);
    assert_eq!(same[0], same[1]);
}

proptest::proptest! {
    /// Whatever arrives is an event or is kept with a reason, and the same again is the same.
    #[test]
    fn no_input_ends_the_reader(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut reader = Reader::new("hub".into());
        let first = reader.read(&bytes, now());
        let again = Reader::new("hub".into()).read(&bytes, now());
        proptest::prop_assert_eq!(first, again);
    }
}
