//! What of a history is nobody's to see: another hub's, of few people, of groups that are hidden now, and
//! what is looked at without a trace.

use super::site::{
    ADMIN, ADMIN_TOKEN, MEMBER_TOKEN, OWNER, OWNER_TOKEN, Site, end_of_month, page_token,
};
use crate::support::{Browser, block_on, python, sql};
use insights::poll::clock::now;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::path::Path;
use store::tables::{RowId, Session};
use store::{Folder, Intake, KeeperSettings, Store};

/// A hub whose rows are in the same history.
const ELSEWHERE: &str = "elsewhere";
const STRANGER: &str = "zoe-of-elsewhere";
/// A server of somebody there who is called as somebody here.
const NAMESAKES_SERVER: &str = "of-a-namesake";

/// Sessions of an hour at another hub.
fn add_other_hub(store: &Path) {
    let ended = now() - SignedDuration::from_hours(24);
    let session = |user: &str, server: &str| Session {
        id: RowId::of(&["session", ELSEWHERE, user, server]),
        revision: 0,
        hub: ELSEWHERE.into(),
        user: user.into(),
        server: server.into(),
        started: ended - SignedDuration::from_hours(1),
        ended,
        last_seen: ended,
        end_reason: "stopped".into(),
        active_seconds: None,
        options: None,
        image: None,
        withdrawn: false,
    };
    let mut intake = Intake::default();
    for session in [session(STRANGER, ""), session(OWNER, NAMESAKES_SERVER)] {
        intake.row(&session, Some(&session.user)).unwrap();
    }
    block_on(async {
        let store = Store::open(Folder::prepare(store).unwrap()).unwrap();
        let settings = KeeperSettings::new(ELSEWHERE.into(), TimeZone::UTC, now);
        let keeper = store.try_keep(settings).await.unwrap().unwrap();
        keeper.take(intake).await.unwrap();
        keeper.flush().await.unwrap();
    });
}

pub(super) fn hubs() {
    let site = Site::start_with(&[], add_other_hub);
    let all = site.get("api/v1/reports/sessions?from=3+days+ago", ADMIN_TOKEN);
    let all = all.json();
    let of_hub = |hub: &str| -> Vec<&str> {
        let rows = all["rows"].as_array().unwrap().iter();
        let of_hub = rows.filter(|row| row["hub"] == hub);
        of_hub.map(|row| row["user"].as_str().unwrap()).collect()
    };
    let mut elsewhere = of_hub(ELSEWHERE);
    elsewhere.sort_unstable();
    assert_eq!(elsewhere, [OWNER, STRANGER]);
    assert!(!of_hub("demo").is_empty());

    let mut browser = Browser::at(&site.sim.url);
    let page = site.log_in(&mut browser, "sessions?from=3+days+ago", ADMIN);
    let told = parts(&site, &page.text, &page_token(&page));
    assert!(told.contains(STRANGER) && told.contains(ELSEWHERE));
    // People are known by their name at a hub: who is called so at another one is somebody else.
    for below in ["users", "groups", "users/one?name=olga"] {
        let page = browser.step(reqwest::Method::GET, &site.at(below), None);
        let page = page.shown();
        assert_eq!(page.status, 200, "{}", page.text);
        let told = parts(&site, &page.text, &page_token(&page));
        // Which hubs there are is in the choice of one.
        expect_nothing_of(below, &[STRANGER, NAMESAKES_SERVER], &(page.text + &told));
    }
    for below in [
        "me",
        "me/share",
        "api/v1/me",
        "api/v1/me/data",
        "parts/sessions",
        "api/v1/reports/sessions?from=3+days+ago",
        "api/v1/reports/usage-by-user?from=3+days+ago",
    ] {
        let answer = site.get(below, OWNER_TOKEN);
        assert_eq!(answer.status, 200, "{below}: {}", answer.text);
        let names = [ELSEWHERE, STRANGER, NAMESAKES_SERVER];
        expect_nothing_of(below, &names, &answer.text);
    }
    let last = site.get("api/v1/me/sessions/last", OWNER_TOKEN);
    assert_eq!(last.status, 404, "{}", last.text);
}

/// All parts of a page, one after the other.
fn parts(site: &Site, page: &str, token: &str) -> String {
    let urls = page.split("data-part=\"").skip(1);
    let urls = urls.map(|rest| rest.split('"').next().unwrap());
    let answers = urls.map(|url| {
        let below = url.split_once("/services/insights/").unwrap().1;
        let answer = site.get_part(&below.replace("&amp;", "&"), token);
        assert_eq!(answer.status, 200, "{below}: {}", answer.text);
        answer.text
    });
    answers.collect()
}

#[track_caller]
fn expect_nothing_of(below: &str, names: &[&str], text: &str) {
    for name in names {
        assert!(!text.contains(name), "{below} tells of {name}: {text}");
    }
}

/// What a member and all members used in the last month that is over, in core hours: added up by hand, with
/// days of UTC, of which few differ.
fn used(site: &Site) -> (f64, f64) {
    let last = end_of_month();
    let first = last.first_of_month();
    let members = format!(
        r#"select distinct d."user", d.day, d.cpu_core_seconds
           from user_days d join membership_intervals m on m."user" = d."user"
           where m."group" = '{}' and d.day between '{first}' and '{last}'
             and cast(m.joined as date) <= d.day and coalesce(cast(m."left" as date) >= d.day, true)"#,
        site.group
    );
    let query = format!(
        r#"select sum(cpu_core_seconds) filter (where "user" = '{}') / 3600 as mine,
                  sum(cpu_core_seconds) / 3600 as all_of_it from ({members})"#,
        site.member
    );
    let row = sql(&site.store(), &query).rows()[0].clone();
    let (mine, all) = row.split_once(',').unwrap();
    (mine.parse().unwrap(), all.parse().unwrap())
}

pub(super) fn share() {
    let site = Site::start();
    let (mine, all) = used(&site);
    assert!(mine > 0.0 && mine < all, "{mine} of {all}");
    let row = share_of(&site);
    let numbers = numbers(&row);
    let close = |told: f64, is: f64| (told / is - 1.0).abs() < 0.02;
    assert!(close(numbers[0], 100.0 * mine / all), "{mine} {all}: {row}");
    assert!(close(numbers[1], all), "{mine} of {all}: {row}");

    // Where more people have to be among them, only one's own use is told.
    let few = Site::start_with(&["access.least_people=1000"], |_| {});
    let (mine, all) = used(&few);
    let row = share_of(&few);
    assert!(!row.contains('%'), "{row}");
    let told = self::numbers(&row);
    assert!(told.iter().any(|told| close(*told, mine)), "{mine}: {row}");
    assert!(!told.iter().any(|told| close(*told, all)), "{all}: {row}");
}

/// The text of the row about the group, after its name.
fn share_of(site: &Site) -> String {
    let part = site.get("me/share", MEMBER_TOKEN);
    assert_eq!(part.status, 200, "{}", part.text);
    let row = part.text.split("<tr").find(|row| row.contains(&site.group));
    let row = row.unwrap_or_else(|| panic!("{}", part.text));
    let texts = row.split('>').filter_map(|piece| piece.split('<').next());
    let texts: Vec<&str> = texts.filter(|text| !text.trim().is_empty()).collect();
    texts
        .join(" ")
        .split_once(&site.group)
        .unwrap()
        .1
        .to_owned()
}

fn numbers(text: &str) -> Vec<f64> {
    let all = text.split(|letter: char| !(letter.is_ascii_digit() || ".,".contains(letter)));
    all.filter_map(|number| number.replace(',', "").parse().ok())
        .collect()
}

pub(super) fn hidden() {
    let name = |store: &Path| {
        let largest =
            r#"select "group" from membership_intervals group by 1 order by count(*) desc"#;
        sql(store, largest).rows()[0].clone()
    };
    let shown = Site::start();
    let is_told = |site: &Site, below: &str| {
        let answer = site.get(below, MEMBER_TOKEN);
        assert_eq!(answer.status, 200, "{below}: {}", answer.text);
        answer.text.contains(&site.group)
    };
    let all = ["me", "me/share", "api/v1/me", "api/v1/me/data"];
    assert!(all[1..].iter().all(|below| is_told(&shown, below)));
    let denied = format!("groups.denied=[\"{}\"]", name(&shown.store()));
    let site = Site::start_with(&[&denied], |_| {});
    assert_eq!(site.group, shown.group, "the demo is the same each time");
    for below in all {
        assert!(!is_told(&site, below), "{below}");
    }
    let data = site.get("api/v1/me/data", MEMBER_TOKEN).text;
    assert!(data.contains(&site.member), "{data}");
}

/// Has the place refuse looks that are to be kept, or not any more.
fn refuse(site: &Site, refuses: &Value) {
    let file = site.store().join("state.db");
    python("refused.py", &json!({"file": file, "refuses": refuses}));
}

pub(super) fn not_kept() {
    let site = Site::start();
    let mut browser = Browser::at(&site.sim.url);
    let page = site.log_in(&mut browser, "users", ADMIN);
    let token = page_token(&page);
    refuse(&site, &json!(true));
    let mut look = || {
        let url = site.at("users/one?name=olga");
        browser.step(reqwest::Method::GET, &url, None).shown()
    };
    let refused = look();
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.text.contains("This page cannot be shown now"));
    assert!(!refused.text.contains("data-part"), "{}", refused.text);
    for below in [
        "parts/sessions?user=olga",
        "api/v1/reports/sessions?user=olga",
        "api/v1/events?user=olga",
    ] {
        assert_eq!(site.get(below, ADMIN_TOKEN).status, 503, "{below}");
    }
    assert_eq!(site.get_part("parts/logins?user=olga", &token).status, 503);
    // Whoever looks at nobody else is let in.
    assert_eq!(site.get("api/v1/reports/sessions", ADMIN_TOKEN).status, 200);
    assert_eq!(site.get("me", OWNER_TOKEN).status, 200);
    refuse(&site, &json!(false));
    assert_eq!(look().status, 200);
    site.expect_looks(&["boss page olga"]);
}
