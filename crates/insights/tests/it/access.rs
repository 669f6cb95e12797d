//! Who may read metrics that name people: behind the hub's proxy, and on an own port.

use crate::support::{
    ADMIN_TOKEN, METRICS_TOKEN, NAMES_TOKEN, READER_TOKEN, RealHub, Scrape, Service, SimServer,
    block_on, free_port, http, newest_hub, scrape, until,
};
use insights::sim::DEMO_TOKEN;
use std::sync::Arc;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "behind_the_proxy_only_tokens_that_could_read_the_same_are_let_in",
        behind_the_proxy,
    ),
    (
        "without_a_login_pages_and_probes_name_nobody",
        nameless_pages,
    ),
    (
        "the_own_port_is_open_but_not_to_what_came_through_a_proxy",
        own_port,
    ),
    (
        "a_scrape_token_opens_and_metrics_open_lifts_it_with_a_warning",
        scrape_token_and_open,
    ),
    (
        "a_good_token_works_while_others_make_up_tokens_and_while_the_hub_is_down",
        good_token_under_fire,
    ),
    ("made_up_tokens_do_not_reach_the_hub_in_a_flood", flood),
];

fn newest() -> Arc<RealHub> {
    RealHub::shared("newest", newest_hub)
}

/// Whether the text holds a user or group of the hub.
fn names_people(text: &str) -> bool {
    let people = newest_hub().people;
    let users = people["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user.as_str().unwrap());
    let groups = people["groups"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str);
    // In labels, so that a short name is not found inside a help text.
    users
        .chain(groups)
        .any(|name| text.contains(&format!("\"{name}\"")))
}

fn with_headers(url: &str, headers: &[(&str, &str)]) -> Scrape {
    block_on(async {
        let mut request = http().get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Scrape {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    })
}

fn behind_the_proxy() {
    let hub = newest();
    until("the first read", || {
        names_people(&scrape(&hub.service_url(""), Some(METRICS_TOKEN)).text).then_some(())
    });
    let user_token = hub.user_token("dora");
    for path in ["", "metrics"] {
        let url = hub.service_url(path);
        for token in [METRICS_TOKEN, READER_TOKEN, ADMIN_TOKEN] {
            let allowed = scrape(&url, Some(token));
            assert_eq!(allowed.status, 200, "{token}: {}", allowed.text);
            assert!(names_people(&allowed.text));
            // The hub's own spelling.
            let allowed = with_headers(&url, &[("Authorization", &format!("token {token}"))]);
            assert_eq!(allowed.status, 200);
        }
        for token in [
            None,
            Some(NAMES_TOKEN),
            Some(&*user_token),
            Some("made-up"),
            Some(""),
        ] {
            let refused = scrape(&url, token);
            assert_eq!(refused.status, 403, "{token:?}: {}", refused.text);
            assert!(!names_people(&refused.text));
            assert!(refused.text.contains("read:metrics"), "{}", refused.text);
            assert!(!refused.text.contains("<html"), "never a login page");
        }
    }
}

fn nameless_pages() {
    let hub = newest();
    let browser = [("Accept", "text/html,*/*;q=0.8")];
    let login = with_headers(&hub.service_url(""), &browser);
    assert_eq!(login.status, 303);
    let location = login.headers["location"].to_str().unwrap();
    assert!(location.contains("hub/api/oauth2/authorize?"), "{location}");
    assert!(!names_people(&login.text));
    // Where nobody can log in.
    let service = Service::start(&hub.url, READER_TOKEN, &[]);
    service.until("names", |scrape| names_people(&scrape.text));
    let page = with_headers(&service.url, &browser);
    assert_eq!(page.status, 200);
    let of_page = |name: &str| page.headers[name].to_str().unwrap();
    assert!(of_page("content-type").starts_with("text/html"));
    assert!(of_page("content-security-policy").contains("'none'"));
    assert!(
        !names_people(&page.text) && page.text.contains("groups"),
        "{}",
        page.text
    );
    for probe in ["health/live", "health/ready"] {
        assert_eq!(scrape(&hub.service_url(probe), None).status, 200);
    }
    assert_eq!(scrape(&hub.service_url("no-such-page"), None).status, 404);
}

fn own_port() {
    let hub = newest();
    let service = Service::start(&hub.url, READER_TOKEN, &[]);
    service.until("names", |scrape| names_people(&scrape.text));
    let url = format!("{}metrics", service.url);
    for header in [
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "x-forwarded-proto",
    ] {
        let refused = with_headers(&url, &[(header, "203.0.113.9")]);
        assert_eq!(refused.status, 403, "{header}");
        let bearer = format!("Bearer {METRICS_TOKEN}");
        let allowed = with_headers(&url, &[(header, "203.0.113.9"), ("Authorization", &bearer)]);
        assert_eq!(allowed.status, 200, "{header}");
    }
}

fn scrape_token_and_open() {
    let hub = newest();
    let forwarded = [("X-Forwarded-For", "203.0.113.9")];
    let arguments = ["--set", "metrics.scrape_token=scrape-me"];
    let service = Service::start(&hub.url, READER_TOKEN, &arguments);
    let url = format!("{}metrics", service.url);
    assert_eq!(with_headers(&url, &forwarded).status, 403);
    let with_token = [forwarded[0], ("Authorization", "Bearer scrape-me")];
    assert_eq!(with_headers(&url, &with_token).status, 200);
    assert!(!service.process.output().contains("`metrics.open` is set"));

    let listen = format!("web.listen=127.0.0.1:{}", free_port());
    let arguments = ["--set", "metrics.open=true", "--set", &listen];
    let service = Service::start(&hub.url, READER_TOKEN, &arguments);
    assert_eq!(
        with_headers(&format!("{}metrics", service.url), &forwarded).status,
        200
    );
    let log = service.process.output();
    assert!(
        log.contains("WARN `metrics.open` is set: everybody who reaches the hub"),
        "{log}"
    );
    assert!(
        log.contains("(behind the hub's proxy, metrics are open)"),
        "{log}"
    );
    assert!(!log.contains("need a token"), "{log}");
}

fn flood() {
    let hub = newest();
    let service = Service::start(&hub.url, READER_TOKEN, &[]);
    let url = format!("{}metrics", service.url);
    let statuses: Vec<u16> = (0..60)
        .map(|n| {
            let bearer = format!("Bearer made-up-{n}");
            with_headers(
                &url,
                &[
                    ("X-Forwarded-For", "203.0.113.9"),
                    ("Authorization", &bearer),
                ],
            )
            .status
        })
        .collect();
    assert!(
        statuses.iter().all(|status| matches!(status, 403 | 503)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&503), "{statuses:?}");
    let asked = service.scrape().value(
        "jupyterhub_insights_hub_requests_total",
        &["endpoint=\"user\"", "status=\"403\""],
    );
    assert!(asked.unwrap() < 55.0, "the hub was asked {asked:?} times");
}

fn good_token_under_fire() {
    let sim = SimServer::start(|world| {
        world.add_user("ana");
        world.add_token("scraper", "prometheus", &["read:metrics"]);
    });
    let service = Service::start(&sim.url, DEMO_TOKEN, &[]);
    service.until("a user", |scrape| scrape.memberships() == ["ana@none"]);
    let url = format!("{}metrics", service.url);
    let ask = |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("X-Forwarded-For", "203.0.113.9"),
            ("Authorization", &*bearer),
        ];
        with_headers(&url, &headers).status
    };
    assert_eq!(ask("scraper"), 200);
    let flood: Vec<u16> = (0..60).map(|n| ask(&format!("made-up-{n}"))).collect();
    assert!(flood.contains(&503), "{flood:?}");
    assert_eq!(ask("scraper"), 200);
    drop(sim);
    service.until("the hub is down", |scrape| {
        scrape.value("jupyterhub_insights_hub_up", &[]) == Some(0.0)
    });
    assert_eq!(ask("scraper"), 200);
    assert_ne!(ask("another"), 200);
}
