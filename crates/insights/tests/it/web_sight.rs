//! What people get to see of a history who are no administrators, or whose token is none, and which looks
//! at people are kept: over HTTP. Whose names are in no answer is the business of `web_roles`.

mod history;
mod site;

use crate::support::{Browser, until};
use insights::hub::ROLE_SCOPES;
use insights::sim::DEMO_TOKEN;
use jiff::ToSpan as _;
use jiff::civil::Date;
use reqwest::Method;
use site::{
    ADMIN, ADMIN_TOKEN, MEMBER_OF_STAFF, NOBODY, OWNER, OWNER_TOKEN, STAFF_TOKEN,
    STRONG_STAFF_TOKEN, Site, end_of_month, page_token, today,
};

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
    (
        "of_two_hubs_in_one_history_each_persons_page_is_of_one",
        history::hubs,
    ),
    (
        "my_share_of_my_group_is_told_where_enough_people_used_it",
        history::share,
    ),
    (
        "a_group_that_is_hidden_later_is_in_no_answer_to_its_members",
        history::hidden,
    ),
    ("a_look_that_cannot_be_kept_is_not_had", history::not_kept),
    ("a_group_that_nobody_was_in_says_so", nobody),
    (
        "owners_are_told_to_wait_until_the_hub_has_said_who_they_are",
        not_read,
    ),
];

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

/// After a start the service goes on with the groups of its history, which does not say who owns them.
fn not_read() {
    let hidden = ["list:groups", "read:groups"];
    let scopes = ROLE_SCOPES.iter().copied();
    let scopes: Vec<&str> = scopes.filter(|scope| !hidden.contains(scope)).collect();
    let site = Site::begin(
        &[],
        |_| {},
        |world| world.add_token(DEMO_TOKEN, "insights", &scopes),
    );
    site.until_people(3);
    let early = site.of_group("overview", "");
    assert_eq!(early.status, 503, "{}", early.text);
    assert!(early.text.contains("still to be read"), "{}", early.text);
    let mut browser = Browser::at(&site.sim.url);
    let group: String = url::form_urlencoded::byte_serialize(site.group.as_bytes()).collect();
    let page = site.log_in(&mut browser, "groups", OWNER);
    assert_eq!(page.status, 503, "{}", page.text);
    for below in ["groups/one?name=", "reports/usage-by-user?group="] {
        let page = site.at(&format!("{below}{group}"));
        let page = browser.step(Method::GET, &page, None).shown();
        assert_eq!(page.status, 503, "{below}: {}", page.text);
        assert!(page.text.contains("still to be read"), "{}", page.text);
    }
    let list = browser.step(Method::GET, &site.at("reports"), None);
    assert_eq!(list.shown().status, 200, "there are reports about oneself");
    // What is not about a group needs no owner.
    assert_eq!(site.get("api/v1/me", OWNER_TOKEN).status, 200);
    let mut world = site.sim.hub.world_mut();
    world.add_token(DEMO_TOKEN, "insights", &ROLE_SCOPES);
    drop(world);
    until("the groups to be read", || {
        (site.of_group("overview", "").status == 200).then_some(())
    })
    .unwrap();
    let page = site.at(&format!("groups/one?name={group}"));
    assert_eq!(browser.step(Method::GET, &page, None).shown().status, 200);
    // Another group than theirs is nothing to wait for.
    let other = format!("api/v1/reports/overview?group={NOBODY}");
    assert_eq!(site.get(&other, OWNER_TOKEN).status, 403);
}

fn nobody() {
    let site = Site::start();
    let mut browser = Browser::at(&site.sim.url);
    let page = format!("groups/one?name={NOBODY}");
    let page = site.log_in(&mut browser, &page, ADMIN);
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains("Nobody was in this group yet"),
        "{}",
        page.text
    );
    // Nothing that would fail.
    assert!(!page.text.contains("data-part="), "{}", page.text);
    let group: String = url::form_urlencoded::byte_serialize(site.group.as_bytes()).collect();
    let page = site.at(&format!("groups/one?name={group}"));
    let page = browser.step(Method::GET, &page, None).shown();
    assert!(page.text.contains("data-part="), "{}", page.text);
}
