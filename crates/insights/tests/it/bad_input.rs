//! What a hub that is down, slow, lying or half-answering does to the numbers: nothing but the
//! age. The table `docs/failures.md` is made from the cases below.

use crate::support::{Scrape, Service, SimServer, Spoiler, block_on, http};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use insights::config::{Config, HubConfig, Secret};
use insights::hub::{ErrorKind, HubClient};
use insights::metrics::Published;
use insights::metrics::exposition::{Dialect, Encoding};
use insights::metrics::own::Own;
use insights::poll::Poller;
use insights::poll::clock::now;
use insights::sim::DEMO_TOKEN;
use model::snapshot::{Dated, Group, Snapshot, sorted_groups};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "a_hub_that_is_down_at_the_start_and_later_changes_no_number_but_the_age",
        down,
    ),
    (
        "a_hub_that_is_down_for_an_hour_is_asked_once_a_minute",
        down_for_an_hour,
    ),
    ("a_wrong_token", || check("wrong token")),
    ("a_missing_scope", || check("missing scope")),
    ("hidden_members", || check("members hidden")),
    ("html_instead_of_json", || check("HTML instead of JSON")),
    ("a_truncated_body", || check("truncated body")),
    ("a_page_that_repeats", || check("page that repeats")),
    ("a_page_that_lies_about_the_total", || {
        check("page that lies about the total");
    }),
    ("a_bare_list_instead_of_a_page", || {
        check("bare list instead of a page");
    }),
    ("a_name_of_10_mb", || check("name of 10 MB")),
    ("a_refusal_with_a_null_message", || {
        check("refusal with a null message");
    }),
    ("a_throttled_request", || check("throttled (429)")),
    ("an_internal_error", || check("internal error (500)")),
    ("a_hub_that_hangs", || check("hub that hangs")),
    ("a_redirect_to_another_host", || {
        check("redirect to another host");
    }),
    ("names_that_are_not_unicode", || {
        check("name that is not Unicode");
    }),
    (
        "a_hidden_persons_name_is_not_shown_while_groups_fail",
        hidden_while_groups_fail,
    ),
    ("the_token_is_never_sent_to_another_host", other_host),
    (
        "a_list_that_breaks_in_the_middle_is_thrown_away_whole",
        breaks_in_the_middle,
    ),
    (
        "pseudo_groups_that_step_aside_are_told_once",
        renamed_pseudo_groups,
    ),
];

/// One kind of bad input.
struct Case {
    what: &'static str,
    test: &'static str,
    kind: ErrorKind,
    /// A part of the one log line.
    log: &'static str,
    spoil: fn(&SimServer),
}

const CASES: &[Case] = &[
    Case {
        what: "wrong token",
        test: "a_wrong_token",
        kind: ErrorKind::BadToken,
        log: "hub refused the token for `groups?offset=0&limit=",
        spoil: |sim| {
            sim.hub.world_mut().remove_token(DEMO_TOKEN);
        },
    },
    Case {
        what: "missing scope",
        test: "a_missing_scope",
        kind: ErrorKind::MissingScope,
        log: "the token's role needs the scope `list:groups`",
        spoil: |sim| {
            sim.hub
                .world_mut()
                .add_token(DEMO_TOKEN, "insights", &["list:users"]);
        },
    },
    Case {
        what: "members hidden",
        test: "hidden_members",
        kind: ErrorKind::MissingScope,
        log: "hub answered `/groups` without `users`: the token's role needs the scope `read:groups`",
        spoil: |sim| {
            let scopes = ["list:users", "list:groups", "read:servers"];
            sim.hub
                .world_mut()
                .add_token(DEMO_TOKEN, "insights", &scopes);
        },
    },
    Case {
        what: "HTML instead of JSON",
        test: "html_instead_of_json",
        kind: ErrorKind::NotJson,
        log: "with `text/html; charset=utf-8`, not JSON. Remedy: check that `hub.url` is the hub's address",
        spoil: |sim| {
            replace(sim, || {
                axum::response::Html("<h1>Sign in</h1>").into_response()
            });
        },
    },
    Case {
        what: "truncated body",
        test: "a_truncated_body",
        kind: ErrorKind::Truncated,
        log: "broke off after",
        spoil: |sim| {
            replace(sim, || {
                let begin = futures::stream::once(async { Ok("{\"items\": [{\"na") });
                // Late enough that the begin is on its way.
                let end = futures::stream::once(async {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))
                });
                let body = futures::StreamExt::chain(begin, end);
                let head = [
                    (header::CONTENT_TYPE, "application/json"),
                    (header::CONTENT_LENGTH, "1000"),
                ];
                (head, Body::from_stream(body)).into_response()
            });
        },
    },
    Case {
        what: "page that repeats",
        test: "a_page_that_repeats",
        kind: ErrorKind::InconsistentPages,
        log: "hub's pages of `/groups` do not fit together",
        spoil: |sim| {
            rewrite(sim, |page| {
                let first = page["items"][0].clone();
                page["items"][1] = first;
            });
        },
    },
    Case {
        what: "page that lies about the total",
        test: "a_page_that_lies_about_the_total",
        kind: ErrorKind::InconsistentPages,
        log: "different items arrived, 7 were announced",
        spoil: |sim| rewrite(sim, |page| page["_pagination"]["total"] = json!(7)),
    },
    Case {
        what: "bare list instead of a page",
        test: "a_bare_list_instead_of_a_page",
        kind: ErrorKind::Malformed,
        log: "is not what its API promises",
        spoil: |sim| rewrite(sim, |page| *page = page["items"].take()),
    },
    Case {
        what: "name of 10 MB",
        test: "a_name_of_10_mb",
        kind: ErrorKind::TooLarge,
        log: "hub's answer to `/groups` has a name of 10000000 bytes",
        spoil: |sim| {
            sim.hub.world_mut().add_group(&"x".repeat(10_000_000));
        },
    },
    Case {
        what: "refusal with a null message",
        test: "a_refusal_with_a_null_message",
        kind: ErrorKind::BadToken,
        log: "hub refused the token for `groups?offset=0&limit=",
        spoil: |sim| {
            replace(sim, || {
                let body = axum::Json(json!({"status": 403, "message": null}));
                (StatusCode::FORBIDDEN, body).into_response()
            });
        },
    },
    Case {
        what: "throttled (429)",
        test: "a_throttled_request",
        kind: ErrorKind::Throttled,
        log: "hub is too busy for `groups?offset=0&limit=",
        spoil: |sim| {
            replace(sim, || {
                let body = axum::Json(json!({"status": 429, "message": "Too many requests"}));
                (
                    StatusCode::TOO_MANY_REQUESTS,
                    [(header::RETRY_AFTER, "1")],
                    body,
                )
                    .into_response()
            });
        },
    },
    Case {
        what: "internal error (500)",
        test: "an_internal_error",
        kind: ErrorKind::Status,
        log: "with status 500: Internal Server Error. Remedy: see the hub's log",
        spoil: |sim| replace(sim, || StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    },
    Case {
        what: "hub that hangs",
        test: "a_hub_that_hangs",
        kind: ErrorKind::Timeout,
        log: "hub did not finish answering `groups?offset=0&limit=",
        spoil: |sim| sim.spoil(respond_with(|_, _| Box::pin(std::future::pending()))),
    },
    Case {
        what: "redirect to another host",
        test: "a_redirect_to_another_host",
        kind: ErrorKind::NotJson,
        log: "on to `http://192.0.2.1/login`",
        spoil: |sim| {
            replace(sim, || {
                (
                    StatusCode::FOUND,
                    [(header::LOCATION, "http://192.0.2.1/login")],
                )
                    .into_response()
            });
        },
    },
    Case {
        what: "name that is not Unicode",
        test: "names_that_are_not_unicode",
        kind: ErrorKind::Malformed,
        log: "is not what its API promises",
        spoil: |sim| {
            replace(sim, || {
                let page = r#"{"items": [{"name": "\ud800", "users": []}],
                    "_pagination": {"offset": 0, "limit": 50, "total": 1, "next": null}}"#;
                ([(header::CONTENT_TYPE, "application/json")], page).into_response()
            });
        },
    },
];

/// `docs/failures.md`, as these cases make it.
pub(crate) fn failures_page() -> String {
    let mut page = "\
# What bad input gets

In each case the last good numbers stay, `jupyterhub_insights_data_age_seconds` grows, the metric
below counts, the log says it once with the remedy, and the process lives. When the hub answers
again, the log says that too. This page is made from the cases in `tests/it/bad_input.rs`, which
show each of them on the running program.

| what the hub does | `jupyterhub_insights_errors_total` | in the log | test (`bad_input::`) |
|---|---|---|---|
| is down at start, later, for long | `kind=\"unreachable\"` | `hub did not answer at` | \
`a_hub_that_is_down_at_the_start_and_later_changes_no_number_but_the_age`, \
`a_hub_that_is_down_for_an_hour_is_asked_once_a_minute` |
"
    .to_owned();
    for case in CASES {
        let (what, kind, test) = (case.what, case.kind.as_str(), case.test);
        let log = case.log.trim().replace('|', "\\|");
        let _ = writeln!(
            page,
            "| {what} | `kind=\"{kind}\"` | {} | `{test}` |",
            in_code(&log)
        );
    }
    page.push_str(
        "| group called `multiple`, `none`, `\"`, with a line feed or an emoji | none: they are \
         exported as they are | `The hub has a group called` (where a pseudo group had to step \
         aside) | `exposition::…`, `pseudo_groups_that_step_aside_are_told_once` |\n",
    );
    page
}

/// Markdown code that may hold backticks itself.
fn in_code(text: &str) -> String {
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

fn respond_with(
    spoil: impl Fn(Request, Next) -> std::pin::Pin<Box<dyn Future<Output = Response> + Send>>
    + Send
    + Sync
    + 'static,
) -> Spoiler {
    Arc::new(spoil)
}

/// Every reply is this one.
fn replace(sim: &SimServer, reply: fn() -> Response) {
    sim.spoil(respond_with(move |_, _| Box::pin(async move { reply() })));
}

/// Every page of groups is changed.
fn rewrite(sim: &SimServer, change: fn(&mut Value)) {
    sim.spoil(respond_with(move |mut request: Request, next: Next| {
        request.headers_mut().remove(header::IF_NONE_MATCH);
        Box::pin(async move {
            let is_groups = request.uri().path().ends_with("/groups");
            let response = next.run(request).await;
            if !is_groups {
                return response;
            }
            let (mut head, body) = response.into_parts();
            let mut page: Value =
                serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap();
            change(&mut page);
            head.headers.remove(header::CONTENT_LENGTH);
            head.headers
                .insert(header::ETAG, HeaderValue::from_static("\"spoilt\""));
            Response::from_parts(head, Body::from(page.to_string()))
        })
    }));
}

const MEMBERSHIPS: [&str; 4] = ["ana@art", "ana@physics", "bo@physics", "zoe@none"];

fn small_hub() -> SimServer {
    SimServer::start(fill)
}

fn fill(world: &mut insights::sim::World) {
    for user in ["ana", "bo", "zoe"] {
        world.add_user(user);
    }
    for (group, user) in [("physics", "ana"), ("physics", "bo"), ("art", "ana")] {
        world.add_group(group);
        world.add_member(group, user);
    }
}

fn n_errors(scrape: &Scrape, kind: ErrorKind) -> f64 {
    let labels = ["data=\"groups\"", &format!("kind=\"{}\"", kind.as_str())];
    scrape
        .value("jupyterhub_insights_errors_total", &labels)
        .unwrap()
}

fn groups_age(scrape: &Scrape) -> f64 {
    scrape
        .value("jupyterhub_insights_data_age_seconds", &["data=\"groups\""])
        .unwrap()
}

fn check(what: &str) {
    let case = CASES.iter().find(|case| case.what == what).unwrap();
    let sim = small_hub();
    let arguments = ["--set", "hub.timeout_seconds=1"];
    let mut service = Service::start(&sim.url, DEMO_TOKEN, &arguments);
    let good = service.until("memberships", |scrape| scrape.memberships() == MEMBERSHIPS);
    assert_eq!(good.value("jupyterhub_insights_hub_up", &[]), Some(1.0));

    (case.spoil)(&sim);
    let bad = service.until("two errors of the kind", |scrape| {
        n_errors(scrape, case.kind) >= 2.0 && groups_age(scrape) > 1.0
    });
    assert_eq!(bad.memberships(), MEMBERSHIPS, "the last good numbers stay");
    assert_eq!(bad.value("jupyterhub_insights_hub_up", &[]), Some(0.0));
    assert!(service.process.has_ended().is_none());
    let log = service.process.output();
    let lines = log
        .lines()
        .filter(|line| line.contains("Could not read the hub's groups"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "said once: {log}");
    assert!(lines[0].contains(case.log), "{}", lines[0]);
    assert!(lines[0].contains("Remedy: "), "{}", lines[0]);
    assert!(!log.contains(DEMO_TOKEN), "the token is in the log");

    sim.stop_spoiling();
    *sim.hub.world_mut() = {
        let mut world = insights::sim::World::empty();
        world.add_token(DEMO_TOKEN, "insights", &insights::hub::ROLE_SCOPES);
        fill(&mut world);
        world.add_user("new");
        world
    };
    service.until("the new user", |scrape| {
        let is_up = scrape.value("jupyterhub_insights_hub_up", &[]) == Some(1.0);
        is_up && scrape.text.contains("username=\"new\"")
    });
    assert!(
        service
            .process
            .output()
            .contains("Read the hub's groups again after")
    );
}

fn down() {
    // A port that nobody listens on yet.
    let port = crate::support::free_port();
    let service = Service::start(&format!("http://127.0.0.1:{port}/"), DEMO_TOKEN, &[]);
    let before = service.until("an error", |scrape| {
        n_errors(scrape, ErrorKind::Unreachable) >= 1.0
    });
    assert_eq!(before.value("jupyterhub_insights_hub_up", &[]), Some(0.0));
    assert!(before.memberships().is_empty());
    assert!(
        before
            .family("jupyterhub_insights_data_age_seconds")
            .is_empty()
    );
    assert_eq!(
        crate::support::scrape(&format!("{}health/ready", service.url), None).status,
        200
    );

    let sim = SimServer::start_on(port, fill);
    service.until("memberships", |scrape| scrape.memberships() == MEMBERSHIPS);

    drop(sim);
    let n_before = n_errors(&service.scrape(), ErrorKind::Unreachable);
    let later = service.until("more errors", |scrape| {
        n_errors(scrape, ErrorKind::Unreachable) > n_before && groups_age(scrape) > 1.0
    });
    assert_eq!(later.memberships(), MEMBERSHIPS);
    assert_eq!(later.value("jupyterhub_insights_hub_up", &[]), Some(0.0));
    let page = status_page(&service);
    assert!(
        page.contains("the last read failed (unreachable)"),
        "{page}"
    );
    assert!(page.contains("check that the hub runs"), "{page}");

    let _sim = SimServer::start_on(port, |world| {
        fill(world);
        world.add_user("new");
    });
    service.until("the new user", |scrape| {
        scrape.text.contains("username=\"new\"")
    });
    assert!(!status_page(&service).contains("failed"));
    let log = service.process.output();
    let n_told = log
        .lines()
        .filter(|line| line.contains("Could not read the hub's groups"))
        .count();
    assert_eq!(n_told, 2, "once for each time it was down: {log}");
}

/// What a browser gets at the prefix.
fn status_page(service: &Service) -> String {
    block_on(async {
        let request = http().get(&service.url).header("Accept", "text/html");
        request.send().await.unwrap().text().await.unwrap()
    })
}

/// An hour of a clock that runs as fast as it can.
fn down_for_an_hour() {
    let config = HubConfig {
        url: format!("http://127.0.0.1:{}/", crate::support::free_port())
            .parse()
            .ok(),
        token: Some(Secret::new(DEMO_TOKEN)),
        ..HubConfig::default()
    };
    let rows = Config::default().attribution();
    let published = Arc::new(Published::new(rows, "hub", "jupyterhub"));
    let group = Group::new("physics".into(), ["ana".into()]);
    let groups = Dated {
        value: sorted_groups(vec![group]),
        at: now(),
    };
    published.publish(&Snapshot {
        groups: Some(groups),
        ..Snapshot::default()
    });
    let own = Arc::new(Own::new("hub"));
    let hub = HubClient::new(&config, own.clone()).unwrap();
    let poller = Poller::new(&config, hub, own.clone(), published.clone());
    let hour = Duration::from_hours(1);
    std::thread::spawn(move || {
        let clock = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let run = async { tokio::time::timeout(hour, poller.run()).await };
        clock.block_on(run).unwrap_err();
    })
    .join()
    .unwrap();

    let reply = published.reply(&own, now(), Dialect::Text, Encoding::Identity);
    let text = String::from_utf8(reply.chunks.concat()).unwrap();
    let seen = Scrape {
        status: 200,
        headers: HeaderMap::new(),
        text,
    };
    assert_eq!(
        seen.memberships(),
        ["ana@physics"],
        "the last good numbers stay"
    );
    let labels = ["data=\"groups\"", "result=\"error\""];
    let n_failed = seen
        .value("jupyterhub_insights_polls_total", &labels)
        .unwrap();
    assert!(
        (50.0..75.0).contains(&n_failed),
        "asked {n_failed} times in an hour"
    );
}

/// A server that counts who comes, and a hub that points there wherever it can.
fn other_host() {
    let n_visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_visits);
    let address = block_on(async move {
        let router = axum::Router::new().fallback(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { "evil" }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    });
    let evil = format!("http://{address}/hub/api/groups?offset=1&limit=1");
    let sim = SimServer::start(|world| {
        for n in 0..120 {
            world.add_group(&format!("group-{n}"));
        }
    });
    let next = evil.clone();
    sim.spoil(respond_with(
        move |mut request: Request, next_layer: Next| {
            request.headers_mut().remove(header::IF_NONE_MATCH);
            let next = next.clone();
            Box::pin(async move {
                let response = next_layer.run(request).await;
                let (mut head, body) = response.into_parts();
                let bytes = to_bytes(body, usize::MAX).await.unwrap();
                let Ok(mut page) = serde_json::from_slice::<Value>(&bytes) else {
                    return Response::from_parts(head, Body::from(bytes));
                };
                if page["_pagination"]["next"].is_object() {
                    page["_pagination"]["next"]["url"] = json!(next);
                }
                head.headers.remove(header::CONTENT_LENGTH);
                Response::from_parts(head, Body::from(page.to_string()))
            })
        },
    ));
    let service = Service::start(&sim.url, DEMO_TOKEN, &[]);
    service.until("all groups", |scrape| {
        scrape.family("jupyterhub_group_members").len() == 120
    });
    let location = evil.clone();
    sim.spoil(respond_with(move |_, _| {
        let location = location.clone();
        Box::pin(async move {
            (
                StatusCode::TEMPORARY_REDIRECT,
                [(header::LOCATION, location)],
            )
                .into_response()
        })
    }));
    service.until("an error", |scrape| {
        n_errors(scrape, ErrorKind::NotJson) >= 1.0
    });
    assert_eq!(n_visits.load(Ordering::SeqCst), 0);
}

fn breaks_in_the_middle() {
    let sim = SimServer::start(|world| {
        for n in 0..120 {
            world.add_group(&format!("group-{n}"));
        }
    });
    let is_spoiling = |request: &Request| {
        let query = request.uri().query().unwrap_or_default();
        request.uri().path().ends_with("/groups") && !query.contains("offset=0&")
    };
    sim.spoil(respond_with(move |request: Request, next: Next| {
        Box::pin(async move {
            if is_spoiling(&request) {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            next.run(request).await
        })
    }));
    let service = Service::start(&sim.url, DEMO_TOKEN, &[]);
    let seen = service.until("an error", |scrape| {
        n_errors(scrape, ErrorKind::Status) >= 1.0
    });
    assert!(
        seen.family("jupyterhub_group_members").is_empty(),
        "half a list was shown"
    );
    sim.stop_spoiling();
    service.until("all groups", |scrape| {
        scrape.family("jupyterhub_group_members").len() == 120
    });
}

fn renamed_pseudo_groups() {
    let sim = SimServer::start(|world| {
        fill(world);
        for group in ["none", "multiple"] {
            world.add_group(group);
            world.add_member(group, "bo");
        }
    });
    let arguments = ["--set", "groups.multiple=bucket"];
    let service = Service::start(&sim.url, DEMO_TOKEN, &arguments);
    let expected = ["ana@multiple_", "bo@multiple_", "zoe@none_"];
    service.until("renamed pseudo groups", |scrape| {
        scrape.memberships() == expected
    });
    // A change makes everything be written again; it is not told again.
    sim.hub.world_mut().add_user("new");
    service.until("the new user", |scrape| {
        scrape.text.contains("username=\"new\"")
    });
    let log = service.process.output();
    for (taken, instead) in [("none", "none_"), ("multiple", "multiple_")] {
        let line =
            format!("`{taken}`, so the pseudo group of that name is exported as `{instead}`");
        assert_eq!(log.matches(&line).count(), 1, "{log}");
    }
}

/// Somebody new whose only group is hidden must not be taken for somebody in no group, also while
/// the groups cannot be read.
fn hidden_while_groups_fail() {
    let sim = SimServer::start(|world| {
        fill(world);
        world.add_group("hr");
    });
    let arguments = ["--set", "groups.denied=[\"hr\"]"];
    let service = Service::start(&sim.url, DEMO_TOKEN, &arguments);
    service.until("memberships", |scrape| scrape.memberships() == MEMBERSHIPS);
    sim.spoil(respond_with(|request: Request, next: Next| {
        Box::pin(async move {
            if request.uri().path().ends_with("/groups") {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            next.run(request).await
        })
    }));
    service.until("an error", |scrape| {
        n_errors(scrape, ErrorKind::Status) >= 1.0
    });
    {
        let mut world = sim.hub.world_mut();
        world.add_user("xenia");
        world.add_member("hr", "xenia");
    }
    let n_users_read = |scrape: &Scrape| {
        let labels = ["data=\"users\"", "result=\"ok\""];
        scrape
            .value("jupyterhub_insights_polls_total", &labels)
            .unwrap()
    };
    let before = n_users_read(&service.scrape());
    let seen = service.until("users read twice more", |scrape| {
        n_users_read(scrape) >= before + 2.0
    });
    assert!(!seen.text.contains("xenia"), "{}", seen.text);
    sim.stop_spoiling();
    sim.hub.world_mut().add_user("new");
    let seen = service.until("somebody else who is new", |scrape| {
        scrape.text.contains("username=\"new\"")
    });
    assert!(!seen.text.contains("xenia"), "{}", seen.text);
}
