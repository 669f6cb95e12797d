//! The HTTP sink: who may write, in which forms, what becomes of rubbish, and that floods end.

use crate::support::{
    ADMIN_TOKEN, METRICS_TOKEN, READER_TOKEN, RealHub, Service, WRITER_TOKEN, block_on, http,
    newest_hub, on_folder, sql, until,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

pub(crate) const TESTS: &[crate::Test] = &[
    ("only_who_was_given_the_right_may_write", who_may_write),
    ("every_form_is_taken_and_the_same_twice_counts_once", forms),
    ("what_cannot_be_read_is_told_and_kept", rubbish),
    ("floods_are_refused_and_the_memory_stays_bounded", floods),
    SOAK[0],
    (
        "a_full_queue_and_a_missing_history_are_told_before_the_body_is_read",
        full_queue,
    ),
];

/// Those that take longer in the long run.
pub(crate) const SOAK: &[crate::Test] = &[("a_million_kinds_are_rows_like_others", many_kinds)];

/// A token that only our configuration knows.
pub(crate) const OWN_TOKEN: &str = "own-token-000000000000000000000";

/// A service with a history, which the newest hub knows nothing of.
pub(crate) struct Receiver {
    pub(crate) service: Service,
    pub(crate) folder: tempfile::TempDir,
    hub: Arc<RealHub>,
}

/// An answer with its JSON.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further words of its command line.
    pub(crate) fn start_with(further: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("sink-").tempdir().unwrap();
        let hub = RealHub::shared("newest", newest_hub);
        Self {
            service: Self::serve(&hub, &folder, further),
            folder,
            hub,
        }
    }

    fn serve(hub: &RealHub, folder: &tempfile::TempDir, further: &[&str]) -> Service {
        let path = format!("store.path={}", folder.path().join("store").display());
        let token = format!("events.token={OWN_TOKEN}");
        let mut words = vec![
            "--set",
            "store.keep=always",
            "--set",
            &path,
            "--set",
            &token,
        ];
        words.extend(further);
        let service = Service::start(&hub.internal_url, READER_TOKEN, &words);
        let url = format!("{}api/v1/events", service.url);
        until("the store to be open", || {
            let reply = send(&url, Some(OWN_TOKEN), b"", &[]);
            (reply.status == 200).then_some(())
        })
        .unwrap_or_else(|| panic!("{}", service.process.output()));
        service
    }

    /// Another service on the same folder, after this one was killed.
    pub(crate) fn again(self) -> Self {
        let Self {
            service,
            folder,
            hub,
        } = self;
        drop(service);
        Self {
            service: Self::serve(&hub, &folder, &[]),
            folder,
            hub,
        }
    }

    /// As after a crash.
    fn restart(&mut self) {
        let process = &mut self.service.process;
        process.signal(nix::sys::signal::Signal::SIGKILL);
        process.wait(std::time::Duration::from_secs(10));
        self.service = Self::serve(&self.hub, &self.folder, &[]);
    }

    fn url(&self) -> String {
        format!("{}api/v1/events", self.service.url)
    }

    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Reply {
        send(&self.url(), Some(OWN_TOKEN), body.as_ref(), &[])
    }

    /// What the history says, the service beside it.
    fn rows(&self, query: &str) -> Vec<String> {
        sql(&self.folder.path().join("store"), query).rows()
    }

    fn resident_mib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.service.process.pid());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024
    }
}

/// Posts a body.
pub(crate) fn send(
    url: &str,
    token: Option<&str>,
    body: &[u8],
    headers: &[(&'static str, &'static str)],
) -> Reply {
    block_on(async {
        let mut request = http().post(url).body(body.to_vec());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let Ok(response) = request.send().await else {
            return Reply {
                status: 0,
                retry_after: None,
                body: Value::Null,
            };
        };
        let retry_after = response.headers().get(RETRY_AFTER);
        Reply {
            status: response.status().as_u16(),
            retry_after: retry_after.map(|value| value.to_str().unwrap().to_owned()),
            body: response.json().await.unwrap_or(Value::Null),
        }
    })
}

fn event(second: u64, user: &str) -> Value {
    json!({
        "at": format!("2026-11-20T10:{:02}:{:02}Z", second / 60 % 60, second % 60),
        "kind": "door-opened",
        "user": user,
        "source": "door",
        "detail": {"second": second},
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn who_may_write() {
    let receiver = Receiver::start();
    let body = event(1, "ada").to_string();
    let user_token = receiver.hub.user_token("dora");
    let url = receiver.url();
    for token in [
        None,
        Some("made-up"),
        Some(&*user_token),
        Some(READER_TOKEN),
        Some(METRICS_TOKEN),
        Some(ADMIN_TOKEN),
    ] {
        let reply = send(&url, token, body.as_bytes(), &[]);
        assert_eq!(reply.status, 403, "{token:?}: {reply:?}");
        let message = reply.body["message"].as_str().unwrap();
        assert!(message.contains("custom:insights:write"), "{message}");
    }
    assert_eq!(
        receiver.rows("select count(*) from events where source = 'door'"),
        ["0"]
    );
    for (token, accepted) in [(WRITER_TOKEN, 1), (OWN_TOKEN, 0)] {
        let reply = send(&url, Some(token), body.as_bytes(), &[]);
        assert_eq!(
            (reply.status, &reply.body["accepted"]),
            (200, &json!(accepted)),
            "{reply:?}"
        );
    }
}

fn forms() {
    let mut receiver = Receiver::start();
    let taken = |reply: Reply, accepted: u64, known: u64| {
        let expected =
            json!({"accepted": accepted, "known": known, "n_rejected": 0, "rejected": []});
        assert_eq!((reply.status, &reply.body), (200, &expected));
    };
    let lines = |seconds: std::ops::Range<u64>| {
        let lines: Vec<String> = seconds
            .map(|second| event(second, "ada").to_string())
            .collect();
        lines.join("\n")
    };
    taken(receiver.post(event(0, "ada").to_string()), 1, 0);
    taken(
        receiver.post(serde_json::to_string_pretty(&event(1, "ada")).unwrap()),
        1,
        0,
    );
    taken(
        receiver.post(json!([event(2, "ada"), event(3, "ada")]).to_string()),
        2,
        0,
    );
    taken(receiver.post(lines(3..1000)), 996, 1);
    let packed = gzip(lines(990..1010).as_bytes());
    let header = [("content-encoding", "gzip")];
    taken(
        send(&receiver.url(), Some(OWN_TOKEN), &packed, &header),
        10,
        10,
    );
    // A batch with the same item twice, two clients at once, and after a restart.
    let twice = format!("{0}\n{0}\n", event(2000, "ada"));
    taken(receiver.post(&twice), 1, 1);
    let url = receiver.url();
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let body = lines(3000..3500);
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (url, body) = (url.clone(), body.clone());
                scope.spawn(move || send(&url, Some(WRITER_TOKEN), body.as_bytes(), &[]))
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let n_new: u64 = replies
        .iter()
        .map(|reply| reply.body["accepted"].as_u64().unwrap())
        .sum();
    assert_eq!(n_new, 500, "{replies:?}");
    receiver.restart();
    taken(receiver.post(lines(0..1000)), 0, 1000);
    let counted =
        "select count(*), count(distinct id), min(kind) from events where source = 'door'";
    assert_eq!(receiver.rows(counted), ["1511,1511,door-opened"]);
    // A year later: the ids of that time are in no memory any more, as after a start.
    let old = json!({"at": "2025-11-20T10:00:00Z", "kind": "door-opened", "source": "attic"});
    for _ in 0..2 {
        // Whether it is new only the next write into the history tells.
        taken(receiver.post(old.to_string()), 1, 0);
        taken(receiver.post(old.to_string()), 0, 1);
        let flushed = on_folder(&receiver.folder.path().join("store"), &["store", "rebuild"]);
        assert_eq!(flushed.code, Some(0), "{}", flushed.stderr);
        receiver.restart();
    }
    assert_eq!(
        receiver.rows("select count(*) from events where source = 'attic'"),
        ["1"]
    );
}

fn rubbish() {
    let receiver = Receiver::start();
    let at = "2026-11-20T10:00:00Z";
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let bad: Vec<(Vec<u8>, &str)> = vec![
        (b"rubbish".to_vec(), "not JSON"),
        (b"{\"kind\": \"x\", \"at\": \"\xff\"}".to_vec(), "not UTF-8"),
        (deep.into_bytes(), "recursion limit"),
        (
            json!({"kind": "x", "at": at, "user": "a\0b"})
                .to_string()
                .into(),
            "control character",
        ),
        (
            json!({"kind": "x", "at": "1970-01-01T00:00:00Z"})
                .to_string()
                .into(),
            "before 2014",
        ),
        (
            json!({"kind": "x", "at": "9999-01-01T00:00:00Z"})
                .to_string()
                .into(),
            "in the future",
        ),
        (
            json!({"kind": ["x"], "at": at}).to_string().into(),
            "`kind` is a list, not text",
        ),
        (
            json!({"kind": "x", "at": at, "user": 7}).to_string().into(),
            "`user` is a number",
        ),
        (json!({"no": "form"}).to_string().into(), "no known form"),
        (b"\0\0\0".to_vec(), "not JSON"),
        (b"1e999".to_vec(), "not JSON"),
    ];
    let mut body = Vec::new();
    for (index, (item, _)) in bad.iter().enumerate() {
        body.extend_from_slice(event(index as u64, "ada").to_string().as_bytes());
        body.push(b'\n');
        body.extend_from_slice(item);
        body.push(b'\n');
    }
    let reply = receiver.post(&body);
    assert_eq!(
        (reply.status, &reply.body["accepted"]),
        (200, &json!(bad.len())),
        "{reply:?}"
    );
    assert_eq!(reply.body["n_rejected"], bad.len());
    let told = reply.body["rejected"].as_array().unwrap();
    for (place, ((item, expected), told)) in bad.iter().zip(told).enumerate() {
        assert_eq!(told["index"], place * 2 + 1);
        let reason = told["reason"].as_str().unwrap();
        assert!(
            reason.contains(expected),
            "{}: {reason}",
            item.escape_ascii()
        );
    }
    let kept =
        receiver.rows("select count(*), count(distinct source), min(source) from dead_letters");
    assert_eq!(kept, [format!("{},1,http", bad.len())]);
    // The same again is no second letter.
    assert_eq!(receiver.post(&body).body["known"], bad.len());
    assert_eq!(
        receiver.rows("select count(*) from dead_letters"),
        [bad.len().to_string()]
    );
    let scrape = receiver.service.scrape();
    let rejected = scrape.value("jupyterhub_insights_items_total", &["result=\"rejected\""]);
    assert_eq!(rejected, Some(22.0));
}

fn floods() {
    let receiver = Receiver::start();
    let before = receiver.resident_mib();
    let header = [("content-encoding", "gzip")];
    // 100 MB in one line, announced; not announced; and as 100 kB that unpack to it.
    let line = vec![b'x'; 100_000_000];
    let packed = gzip(&line);
    assert!(packed.len() < 1_000_000);
    let bomb = send(&receiver.url(), Some(OWN_TOKEN), &packed, &header);
    assert_eq!(bomb.status, 413, "{bomb:?}");
    let early = &packed[..packed.len() / 100];
    let early = send(&receiver.url(), Some(OWN_TOKEN), early, &header);
    assert_eq!(early.status, 400, "{early:?}");
    assert_eq!(
        send(&receiver.url(), Some(OWN_TOKEN), b"no gzip", &header).status,
        400
    );
    let brotli = [("content-encoding", "br")];
    assert_eq!(
        send(&receiver.url(), Some(OWN_TOKEN), b"x", &brotli).status,
        400
    );
    let announced = raw(&receiver, "Content-Length: 100000000\r\n", &[]);
    assert!(announced.starts_with("HTTP/1.1 413"), "{announced}");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    let chunks: Vec<&[u8]> = std::iter::repeat_n(chunk.as_bytes(), 100).collect();
    let streamed = raw(&receiver, "Transfer-Encoding: chunked\r\n", &chunks);
    assert!(streamed.starts_with("HTTP/1.1 413"), "{streamed}");
    let many = "1\n".repeat(200_000);
    assert_eq!(receiver.post(many).status, 413);
    // Within the limits, all of it rubbish.
    let long = format!("{}\n{}\n", "y".repeat(2 << 20), event(1, "ada"));
    let reply = receiver.post(long);
    assert_eq!(
        reply.body["rejected"],
        json!([{"index": 0, "reason": "longer than 1 MiB"}])
    );
    assert_eq!(reply.body["accepted"], 1);
    let grown = receiver.resident_mib() - before;
    assert!(grown < 200, "{grown} MiB more at the peak");
    assert_eq!(receiver.post(event(2, "ada").to_string()).status, 200);
}

/// Sends what no client would; gives the answer's beginning, whenever it comes.
fn raw(receiver: &Receiver, headers: &str, chunks: &[&[u8]]) -> String {
    let url: url::Url = receiver.url().parse().unwrap();
    let address = format!("127.0.0.1:{}", url.port().unwrap());
    let mut stream = TcpStream::connect(&address).unwrap();
    let path = url.path();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {OWN_TOKEN}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    for chunk in chunks {
        // It hangs up when it has seen enough.
        if stream.write_all(chunk).is_err() {
            break;
        }
    }
    let mut answer = vec![0; 12];
    let n_read = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..n_read]).into_owned()
}

/// How many kinds: all of the million in the long run.
fn n_kinds() -> u64 {
    if crate::support::variable("INSIGHTS_SOAK").is_some() {
        1_000_000
    } else {
        100_000
    }
}

fn many_kinds() {
    let receiver = Receiver::start();
    let mut peaks = Vec::new();
    for first in (0..n_kinds()).step_by(10_000) {
        let lines: Vec<String> = (first..first + 10_000)
            .map(|number| {
                let kind = format!("kind-{number}");
                json!({"at": "2026-11-20T10:00:00Z", "kind": kind, "source": kind}).to_string()
            })
            .collect();
        let body = lines.join("\n");
        until("room", || {
            let reply = receiver.post(&body);
            assert!(matches!(reply.status, 200 | 503), "{reply:?}");
            (reply.status == 200).then_some(())
        })
        .unwrap();
        peaks.push(receiver.resident_mib());
    }
    let counted = "select count(*), count(distinct kind) from events where kind like 'kind-%'";
    assert_eq!(receiver.rows(counted), [format!("{0},{0}", n_kinds())]);
    let scrape = receiver.service.scrape();
    assert!(scrape.text.len() < 200_000, "{} bytes", scrape.text.len());
    // Ids of a day are remembered with up to 50 bytes each, at most a million of them.
    assert!(*peaks.last().unwrap() < 900, "{peaks:?} MiB");
}

fn full_queue() {
    let hub = RealHub::shared("newest", newest_hub);
    let token = format!("events.token={OWN_TOKEN}");
    let without = Service::start(&hub.internal_url, READER_TOKEN, &["--set", &token]);
    let url = format!("{}api/v1/events", without.url);
    let reply = send(&url, Some(OWN_TOKEN), b"{}", &[]);
    assert_eq!(
        (reply.status, reply.retry_after.as_deref()),
        (503, Some("2")),
        "{reply:?}"
    );
    assert!(
        reply.body["message"]
            .as_str()
            .unwrap()
            .contains("store.path"),
        "{reply:?}"
    );

    let receiver = Receiver::start();
    // The table cannot be written: a file is where its folder should be.
    let table = receiver.folder.path().join("store/history/events");
    until("the first flush or none", || {
        std::fs::remove_dir_all(&table).ok();
        std::fs::write(&table, "").ok()
    })
    .unwrap();
    let mut n_taken = 0;
    let refused = loop {
        let lines: Vec<String> = (n_taken..n_taken + 10_000)
            .map(|number| {
                json!({"id": number.to_string(), "at": "2026-11-20T10:00:00Z", "kind": "x"})
                    .to_string()
            })
            .collect();
        let reply = receiver.post(lines.join("\n"));
        if reply.status != 200 {
            break reply;
        }
        n_taken += 10_000;
        assert!(n_taken < 2_000_000, "never full");
    };
    assert_eq!(
        (refused.status, refused.retry_after.as_deref()),
        (503, Some("2"))
    );
    // A large request is refused before its body comes.
    let early = raw(&receiver, "Content-Length: 10000000\r\n", &[]);
    assert!(early.starts_with("HTTP/1.1 503"), "{early}");
    let health = block_on(async {
        let url = format!("{}health", receiver.service.url);
        let response = http().get(url).send().await.unwrap();
        response.json::<Value>().await.unwrap()
    });
    let checks = health["checks"].as_array().unwrap();
    let history = checks
        .iter()
        .find(|check| check["name"] == "history")
        .unwrap();
    assert_eq!(history["status"], "warn", "{history}");
    // Single events are taken for a little longer.
    assert_eq!(receiver.post(event(1, "ada").to_string()).status, 200);
}
