//! Lists of many people: which accounts and groups are new, when everybody was last seen, and hours that
//! are the plain sums of rows.

use crate::last_session::Running;
use crate::support::{Service, SimServer, block_on, fill_by_demo, http, sql, until};
use insights::ask::Asker;
use insights::people::{self, Newcomer};
use insights::poll::clock::now;
use insights::sim::DEMO_TOKEN;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use model::last_seen::Seen;
use model::names::UserName;
use std::collections::BTreeMap;
use store::{Folder, Store};

pub(crate) const TESTS: &[crate::Test] = &[
    ("what_the_hub_gets_is_new_and_what_it_had_is_not", new),
    ("hours_of_everybody_are_the_sums_of_their_days", hours),
    ("who_came_since_everybody_was_read_is_no_stranger", came),
];

fn names(newcomers: &[Newcomer]) -> Vec<&str> {
    newcomers.iter().map(|it| it.name.as_str()).collect()
}

fn new() {
    let hub = SimServer::start(|world| {
        world.set_now(now());
        world.add_group("physics");
        for user in ["ada", "ben"] {
            world.add_user(user);
            world.add_member("physics", user);
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let service = Running::start(&hub, folder.path());
    let site = &service.site;
    let asker = site.asker.as_deref().unwrap();
    let accounts =
        || block_on(people::newest_accounts(asker, "lab", Timestamp::UNIX_EPOCH)).unwrap();
    let groups = || block_on(people::newest_groups(asker, "lab")).unwrap();
    let physics = until("the first group", || {
        let found = groups();
        (!found.is_empty()).then_some(found)
    });
    let physics = physics.unwrap();
    assert_eq!(names(&physics), ["physics"]);
    assert_eq!(
        physics[0].since, None,
        "it was there when the history began"
    );
    assert_eq!(accounts(), []);

    let began = now();
    {
        let mut world = hub.hub.world_mut();
        world.add_user("cleo");
        world.add_group("art");
        world.add_member("art", "cleo");
        world.start_server("ada", "", began);
    }
    let both = until("the new group", || {
        let found = groups();
        (found.len() == 2).then_some(found)
    });
    let both = both.unwrap();
    assert_eq!(names(&both), ["art", "physics"]);
    assert!(
        both[0].since.is_some_and(|since| since >= began),
        "{both:?}"
    );
    let cleo = until("the new account", || accounts().into_iter().next()).unwrap();
    assert_eq!(cleo.name, "cleo");
    assert!(cleo.since.is_some_and(|since| since >= began), "{cleo:?}");
    assert_eq!(names(&accounts()), ["cleo"]);
    let later = block_on(people::newest_accounts(
        asker,
        "lab",
        now() + SignedDuration::from_hours(1),
    ));
    assert_eq!(later.unwrap(), []);
    assert_eq!(block_on(people::newest_groups(asker, "other")).unwrap(), []);

    let seen = |user: &str| {
        let snapshot = site.published.snapshot();
        snapshot.last_seen.of(&UserName::from(user))
    };
    assert!(matches!(seen("cleo"), Some(Seen::NotYet(_))));
    until("the server of ada", || {
        matches!(seen("ada"), Some(Seen::At(_))).then_some(())
    })
    .unwrap();
    service.stop();
}

const ADMIN: &str = "token-of-an-administrator";
const WRITER: &str = "writer-token-0000000000000000";

/// The row of a user on the page of all.
fn row_of(service: &Service, user: &str) -> Option<String> {
    let page = http().get(format!("{}users", service.url));
    let page = block_on(async { page.bearer_auth(ADMIN).send().await.unwrap().text().await });
    let page = page.unwrap();
    let link = format!("users/one?name={user}\"");
    let mut rows = page.split("<tr>");
    rows.find(|row| row.contains(&link)).map(str::to_owned)
}

/// Waits for a page on which the row says this.
fn until_told(service: &Service, user: &str, told: &str) {
    let row = until(&format!("{told} of {user}"), || {
        row_of(service, user).filter(|row| row.contains(told))
    });
    assert!(row.is_some(), "{:?}", row_of(service, user));
}

fn came() {
    let hub = SimServer::start(|world| {
        world.set_now(now());
        for user in ["ada", "ben", "cleo"] {
            world.add_user(user);
        }
        world.add_token(ADMIN, "boss", &["admin:users"]);
    });
    let folder = tempfile::tempdir().unwrap();
    let path = format!("store.path={}", folder.path().display());
    let token = format!("events.token={WRITER}");
    let settings = [
        "--set",
        "store.keep=always",
        "--set",
        &path,
        "--set",
        &token,
    ];
    let service = Service::start(&hub.url, DEMO_TOKEN, &settings);
    for user in ["ada", "ben", "cleo"] {
        until_told(&service, user, ">never, as of <time");
    }
    let at = now();
    let login = serde_json::json!({
        "at": at.to_string(), "kind": "login", "user": "ada", "source": "hooks",
    });
    let send = || {
        let request = http().post(format!("{}api/v1/events", service.url));
        let request = request.bearer_auth(WRITER).body(login.to_string());
        let reply = block_on(request.send()).unwrap();
        (reply.status() == 200).then_some(())
    };
    until("the store to be open", send).unwrap();
    // The hub lists cleo last, and is asked for those at the end of its list again and again.
    let user = |user: &mut insights::sim::User| user.last_activity = Some(at);
    user(hub.hub.world_mut().user_mut("cleo").unwrap());
    let then = at.strftime("%FT%TZ");
    until_told(&service, "ada", &format!("><time datetime=\"{then}\""));
    until_told(&service, "cleo", &format!("><time datetime=\"{then}\""));
    until_told(&service, "ben", ">never, as of <time");
}

fn hours() {
    let folder = tempfile::tempdir().unwrap();
    let shape = ["--users", "40", "--groups", "3", "--days", "12"];
    fill_by_demo(folder.path(), &shape);
    let path = folder.path().join("store");
    let query = "select user, cast(day as varchar) as day, hours from user_days";
    let told = sql(&path, query).stdout;
    let rows: Vec<Vec<&str>> = told
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let mut days: Vec<Date> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
    days.sort();
    // Of some days, so that those before and after must be left out.
    let (from, to) = (days[days.len() / 3], days[days.len() * 2 / 3]);
    let mut expected: BTreeMap<String, f64> = BTreeMap::new();
    for row in &rows {
        let day: Date = row[1].parse().unwrap();
        if (from..=to).contains(&day) {
            *expected.entry(row[0].to_owned()).or_default() += row[2].parse::<f64>().unwrap();
        }
    }
    let asker = Asker::new(Store::open(Folder::prepare(&path).unwrap()).unwrap());
    let hours = block_on(people::hours(&asker, "demo", from, to)).unwrap();
    assert!(expected.len() > 10, "{expected:?}");
    assert_eq!(hours.len(), expected.len());
    for (user, sum) in expected {
        let told = hours[&UserName::from(user.as_str())];
        assert!((told - sum).abs() < 1e-6, "{user}: {told} {sum}");
    }
}
