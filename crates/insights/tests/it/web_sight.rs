//! What people get to see of a history who are no administrators, or whose token is none, and which looks
//! at people are kept: over HTTP. Whose names are in no answer is the business of `web_roles`.

use crate::support::{
    Browser, Service, Shown, SimServer, block_on, fill_by_demo, free_port, http, sql, until,
};
use insights::config::Secret;
use insights::sim::{DEMO_TOKEN, ServiceClient, World};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use reqwest::Method;
use serde_json::Value;
use std::path::PathBuf;
use url::Url;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "who_sees_aggregates_gets_whole_months_whatever_they_ask",
        whole_months,
    ),
    ("a_share_link_shows_days_that_are_over", over),
    ("every_look_at_a_person_is_kept", looks),
    (
        "a_group_of_administrators_makes_a_weak_token_no_stronger",
        weak_token,
    ),
];

/// Administrator of the hub.
const ADMIN: &str = "boss";
/// In [`STAFF`], whose members are administrators here.
const MEMBER_OF_STAFF: &str = "stella";
/// Of the largest group of the demo.
const OWNER: &str = "olga";
const STAFF: &str = "staff";
const ADMIN_TOKEN: &str = "token-of-an-administrator";
const OWNER_TOKEN: &str = "token-of-olga";
const STAFF_TOKEN: &str = "token-of-stella";
const STRONG_STAFF_TOKEN: &str = "strong-token-of-stella";
const VISITOR: &str = "access:services!service=insights";

/// A service that goes on with the history of a demo, at a hub where others are.
struct Site {
    sim: SimServer,
    /// As browsers reach it.
    url: String,
    _service: Service,
    folder: tempfile::TempDir,
    /// The largest of the demo.
    group: String,
}

impl Site {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fill_by_demo(
            folder.path(),
            &["--users", "60", "--groups", "3", "--days", "70"],
        );
        let largest =
            r#"select "group" from membership_intervals group by 1 order by count(*) desc"#;
        let group = sql(&folder.path().join("store"), largest).rows()[0].clone();
        let sim = SimServer::start(|world| people(world, &group));
        let url = format!("http://127.0.0.1:{}/services/insights/", free_port());
        sim.hub.register(ServiceClient {
            client_id: "service-insights".to_owned(),
            secret: Secret::new(DEMO_TOKEN),
            redirect_uri: format!("{url}oauth_callback"),
        });
        let listen = Url::parse(&url).unwrap();
        let settings = [
            format!("web.listen=127.0.0.1:{}", listen.port().unwrap()),
            format!("login.callback_url={url}oauth_callback"),
            format!("login.hub_url={}", sim.url),
            "login.client_id=service-insights".to_owned(),
            "hub.name=demo".to_owned(),
            "hub.timezone=Europe/Berlin".to_owned(),
            "store.keep=always".to_owned(),
            format!("store.path={}", folder.path().join("store").display()),
            "access.owner_sees=aggregates".to_owned(),
            format!("access.admin_groups=[\"{STAFF}\"]"),
        ];
        let arguments = settings.iter().flat_map(|set| ["--set", set]);
        let service = Service::start(&sim.url, DEMO_TOKEN, &arguments.collect::<Vec<_>>());
        service.until("everybody", |scrape| {
            scrape.family("jupyterhub_user_name_info").len() == 3
        });
        Self {
            sim,
            url,
            _service: service,
            folder,
            group,
        }
    }

    fn at(&self, below: &str) -> Url {
        format!("{}{below}", self.url).parse().unwrap()
    }

    fn ask(&self, method: Method, below: &str, head: (&str, &str)) -> Answer {
        let request = http()
            .request(method, self.at(below))
            .header(head.0, head.1);
        let request = request.body("sql=select+1");
        block_on(async {
            let response = request.send().await.unwrap();
            Answer {
                status: response.status().as_u16(),
                text: response.text().await.unwrap(),
            }
        })
    }

    /// Asks with a token of the hub.
    fn get(&self, below: &str, token: &str) -> Answer {
        let token = format!("token {token}");
        self.ask(Method::GET, below, ("authorization", &token))
    }

    /// Asks as the script of a page does.
    fn get_part(&self, below: &str, page_token: &str) -> Answer {
        self.ask(Method::GET, below, ("x-insights-page", page_token))
    }

    /// An answer about the group of the demo.
    fn of_group(&self, report: &str, more: &str) -> Answer {
        let group: String = url::form_urlencoded::byte_serialize(self.group.as_bytes()).collect();
        let below = format!("api/v1/reports/{report}?group={group}&{more}");
        self.get(&below, OWNER_TOKEN)
    }

    /// Logs in on the way to this page, and shows it.
    fn log_in(&self, browser: &mut Browser<'_>, below: &str, user: &str) -> Shown {
        let mut login = {
            let away = browser.step(Method::GET, &self.at(below), None);
            away.location()
                .unwrap_or_else(|| panic!("{}", away.shown().text))
        };
        login.query_pairs_mut().append_pair("as", user);
        let mut next = login;
        loop {
            let step = browser.step(Method::GET, &next, None);
            match step.location() {
                Some(location) => next = location,
                None => return step.shown(),
            }
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Looks that are kept, in their order: who at what.
    #[track_caller]
    fn expect_looks(&self, expected: &[&str]) {
        let query = "select viewer || ' ' || json_get_str(what, 'looked') || ' ' || \
                     json_get_str(what, 'user') as look from audit \
                     where json_get_str(what, 'looked') is not null order by \"at\"";
        let kept = || sql(&self.store(), query).rows();
        until("looks to be kept", || {
            (kept().len() >= expected.len()).then_some(())
        });
        assert_eq!(kept(), expected);
    }
}

struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }
}

fn people(world: &mut World, group: &str) {
    world.set_now(insights::poll::clock::now());
    for name in [ADMIN, OWNER, MEMBER_OF_STAFF] {
        world.add_user(name);
    }
    world.user_mut(ADMIN).unwrap().admin = true;
    world.add_group(STAFF);
    world.add_member(STAFF, MEMBER_OF_STAFF);
    world.add_group(group);
    let properties = &mut world.group_mut(group).unwrap().properties;
    properties.insert("insights_owners".to_owned(), OWNER.into());
    world.add_user_token(ADMIN_TOKEN, ADMIN, &["admin:users"]);
    world.add_user_token(OWNER_TOKEN, OWNER, &[VISITOR]);
    world.add_user_token(STAFF_TOKEN, MEMBER_OF_STAFF, &[VISITOR]);
    let strong = ["custom:insights:admin", VISITOR];
    world.add_user_token(STRONG_STAFF_TOKEN, MEMBER_OF_STAFF, &strong);
}

fn today() -> Date {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    insights::poll::clock::now().to_zoned(zone).date()
}

/// The last day of the month before.
fn end_of_month() -> Date {
    today().first_of_month().saturating_sub(1.day())
}

fn page_token(page: &Shown) -> String {
    let rest = page.text.split("name=\"page-token\" content=\"").nth(1);
    let rest = rest.unwrap_or_else(|| panic!("{} {}", page.url, page.text));
    rest.split('"').next().unwrap().to_owned()
}

fn whole_months() {
    let site = Site::start();
    let (today, end) = (today(), end_of_month());
    let first = end.first_of_month();
    let periods = [
        String::new(),
        format!("from={today}&to={today}"),
        format!("from={end}&to={today}"),
        format!("from={first}&to={end}"),
        "from=5+months+ago".to_owned(),
    ];
    let answers = periods.map(|period| site.of_group("overview", &period).json());
    for answer in &answers {
        assert_eq!(answer["period"]["from"], first.to_string());
        assert_eq!(answer["period"]["to"], end.to_string());
        assert_eq!(answer["rows"], answers[0]["rows"]);
    }
    let rows = answers[0]["rows"].as_array().unwrap();
    let value = |number: &str| {
        let mut rows = rows.iter();
        rows.find(|row| row["number"] == number)
            .map(|row| &row["value"])
    };
    assert!(value("users").unwrap().as_f64().unwrap() >= 5.0, "{rows:?}");
    assert!(value("hours").unwrap().as_f64().unwrap() > 0.0, "{rows:?}");
    // Nothing says how many people these are about.
    assert_eq!((value("gpu"), value("homes")), (None, None));
    // A period that ends within a month is the one before it.
    let within = end.saturating_sub(1.day());
    let before = site.of_group("overview", &format!("to={within}")).json();
    assert_eq!(
        before["period"]["to"],
        first.saturating_sub(1.day()).to_string()
    );
    let by_month = site.of_group("active-users-calendar", "").json();
    assert_eq!(by_month["period"]["to"], end.to_string());
    assert!(by_month["rows"].as_array().unwrap().len() > 12);
    for (report, more) in [
        ("active-users-calendar", "by=week"),
        ("usage-by-user", ""),
        ("sessions", ""),
        ("home-sizes", ""),
    ] {
        let refused = site.of_group(report, more);
        assert_eq!(refused.status, 403, "{report}: {}", refused.text);
    }
    let mut browser = Browser::at(&site.sim.url);
    let me = site.log_in(&mut browser, "me", OWNER);
    let share = format!("me/share?from={today}&to={today}");
    let share = site.get_part(&share, &page_token(&me));
    let month = first.strftime("%B %Y").to_string();
    assert!(share.text.contains(&month), "{}", share.text);
    // The page of the group shows the month, too.
    let group: String = url::form_urlencoded::byte_serialize(site.group.as_bytes()).collect();
    let page = site.at(&format!("groups/one?name={group}"));
    let page = browser.step(Method::GET, &page, None).shown();
    assert_eq!(page.status, 200);
    assert!(page.text.contains(&first.to_string()), "{}", page.text);
}

fn over() {
    let site = Site::start();
    let mut browser = Browser::at(&site.sim.url);
    let token = page_token(&site.log_in(&mut browser, "shares", ADMIN));
    let mut make = |from: Date| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("page_token", &token)
            .append_pair("report", "groups")
            .append_pair("from", &from.to_string())
            .append_pair("to", &today().to_string())
            .append_pair("days", "1")
            .finish();
        let made = browser.step(Method::POST, &site.at("shares"), Some(form));
        made.shown()
    };
    let refused = make(today());
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(
        refused.text.contains("days that are over"),
        "{}",
        refused.text
    );
    let link = make(end_of_month().first_of_month());
    assert_eq!(link.status, 200, "{}", link.text);
    let secret = link.text.split("/shared/").nth(1).unwrap();
    let secret = secret.split(['"', '<']).next().unwrap();
    let answer = site.get(&format!("shared/{secret}/json"), "").json();
    let yesterday = today().saturating_sub(1.day());
    assert_eq!(answer["period"]["to"], yesterday.to_string());
    let rows = answer["rows"].as_array().unwrap();
    assert!(
        rows.iter().any(|row| row["hours"].as_f64() > Some(0.0)),
        "{rows:?}"
    );
    assert!(
        rows.iter().all(|row| row.get("gpu_hours").is_none()),
        "{rows:?}"
    );
}

fn looks() {
    let site = Site::start();
    let mut browser = Browser::at(&site.sim.url);
    let page = site.log_in(&mut browser, "users/one?name=ben", ADMIN);
    assert_eq!(page.status, 200, "{}", page.text);
    let mut expected = vec!["boss page ben"];
    site.expect_looks(&expected);
    // Its parts are the same look, those about somebody else are not.
    let token = page_token(&page);
    assert_eq!(site.get_part("parts/sessions?user=ben", &token).status, 200);
    assert_eq!(site.get_part("parts/logins?user=ben", &token).status, 200);
    assert_eq!(site.get_part("parts/sessions?user=cy", &token).status, 200);
    assert_eq!(site.get_part("parts/logins?user=cy", &token).status, 200);
    expected.push("boss sessions cy");
    site.expect_looks(&expected);
    let of_report = site.at("reports/sessions?user=cy");
    let of_report = browser.step(Method::GET, &of_report, None);
    assert_eq!(of_report.status(), 200);
    expected.push("boss sessions cy");
    // Nor does it matter how it is asked.
    for (below, look) in [
        (
            "api/v1/reports/sessions?user=dan",
            Some("boss sessions dan"),
        ),
        ("parts/sessions?user=dan", Some("boss sessions dan")),
        ("api/v1/events?user=dan", Some("boss events dan")),
        ("reports/sessions?user=dan", Some("boss sessions dan")),
        ("users/one?name=dan", Some("boss page dan")),
        ("parts/sessions?user=boss", None),
        ("api/v1/events?user=boss", None),
        ("api/v1/events", None),
    ] {
        let answer = site.get(below, ADMIN_TOKEN);
        assert_eq!(answer.status, 200, "{below}: {}", answer.text);
        expected.extend(look);
    }
    site.expect_looks(&expected);
}

fn weak_token() {
    let site = Site::start();
    let mut browser = Browser::at(&site.sim.url);
    let page = site.log_in(&mut browser, "users", MEMBER_OF_STAFF);
    assert_eq!(page.status, 200, "{}", page.text);
    for below in [
        "users",
        "shares",
        "api/v1/events",
        "api/v1/reports/sessions?user=boss",
    ] {
        let weak = site.get(below, STAFF_TOKEN);
        assert_eq!(weak.status, 403, "{below}: {}", weak.text);
        let strong = site.get(below, STRONG_STAFF_TOKEN);
        assert_eq!(strong.status, 200, "{below}: {}", strong.text);
    }
    let authorization = format!("token {STAFF_TOKEN}");
    let sql = site.ask(
        Method::POST,
        "api/v1/sql",
        ("authorization", &authorization),
    );
    assert_eq!(sql.status, 403, "{}", sql.text);
    // They are somebody all the same.
    let me = site.get("api/v1/me", STAFF_TOKEN).json();
    assert_eq!(me["name"], MEMBER_OF_STAFF);
    assert_eq!(me["standing"], "user");
}
