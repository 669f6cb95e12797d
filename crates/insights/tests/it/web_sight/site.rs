//! A service that goes on with the history of a demo, at a hub with an administrator, somebody who looks
//! after a group, and others. What they may see is asked in the tests around it.

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
use std::path::{Path, PathBuf};
use url::Url;

/// Administrator of the hub.
pub(super) const ADMIN: &str = "boss";
/// In [`STAFF`], whose members are administrators here.
pub(super) const MEMBER_OF_STAFF: &str = "stella";
/// Of the largest group of the demo.
pub(super) const OWNER: &str = "olga";
pub(super) const STAFF: &str = "staff";
/// Without members, ever.
pub(super) const NOBODY: &str = "nobody-yet";
pub(super) const ADMIN_TOKEN: &str = "token-of-an-administrator";
pub(super) const OWNER_TOKEN: &str = "token-of-olga";
pub(super) const STAFF_TOKEN: &str = "token-of-stella";
pub(super) const STRONG_STAFF_TOKEN: &str = "strong-token-of-stella";
pub(super) const MEMBER_TOKEN: &str = "token-of-a-member";
pub(super) const VISITOR: &str = "access:services!service=insights";

/// A service that goes on with the history of a demo, at a hub where others are.
pub(super) struct Site {
    pub(super) sim: SimServer,
    /// As browsers reach it.
    url: String,
    service: Service,
    folder: tempfile::TempDir,
    /// The largest of the demo.
    pub(super) group: String,
    /// Who of its members used the hub most.
    pub(super) member: String,
}

impl Site {
    pub(super) fn start() -> Self {
        Self::start_with(&[], |_| {})
    }

    /// With further settings, and what else is done to the history before the service starts.
    pub(super) fn start_with(further: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let site = Self::begin(further, prepare, |_| {});
        // Not the people of the demo, with whom it goes on: who owns the group is known once the hub was read.
        site.service.until("everybody", |scrape| {
            scrape
                .value("jupyterhub_user_name_info", &[&format!("\"{OWNER}\"")])
                .is_some()
        });
        site
    }

    /// The same, at a hub that was changed before; whether the service has read it is not waited for.
    pub(super) fn begin(
        further: &[&str],
        prepare: impl FnOnce(&Path),
        change: impl FnOnce(&mut World),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fill_by_demo(
            folder.path(),
            &["--users", "60", "--groups", "3", "--days", "70"],
        );
        prepare(&folder.path().join("store"));
        let largest =
            r#"select "group" from membership_intervals group by 1 order by count(*) desc"#;
        let group = sql(&folder.path().join("store"), largest).rows()[0].clone();
        let most = format!(
            r#"select "user" from user_days
               where "user" in (select "user" from current_members where "group" = '{group}')
               group by 1 order by sum(cpu_core_seconds) desc, 1"#
        );
        let member = sql(&folder.path().join("store"), &most).rows()[0].clone();
        let sim = SimServer::start(|world| {
            people(world, &group, &member);
            change(world);
        });
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
        let all = settings.iter().map(String::as_str);
        let arguments = all
            .chain(further.iter().copied())
            .flat_map(|set| ["--set", set]);
        let service = Service::start(&sim.url, DEMO_TOKEN, &arguments.collect::<Vec<_>>());
        Self {
            sim,
            url,
            service,
            folder,
            group,
            member,
        }
    }

    /// Waits until the service has the names of this many people.
    pub(super) fn until_people(&self, n_people: usize) {
        self.service.until("people", |scrape| {
            scrape.family("jupyterhub_user_name_info").len() >= n_people
        });
    }

    pub(super) fn at(&self, below: &str) -> Url {
        format!("{}{below}", self.url).parse().unwrap()
    }

    pub(super) fn ask(&self, method: Method, below: &str, head: (&str, &str)) -> Answer {
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
    pub(super) fn get(&self, below: &str, token: &str) -> Answer {
        let token = format!("token {token}");
        self.ask(Method::GET, below, ("authorization", &token))
    }

    /// Asks as the script of a page does.
    pub(super) fn get_part(&self, below: &str, page_token: &str) -> Answer {
        self.ask(Method::GET, below, ("x-insights-page", page_token))
    }

    /// An answer about the group of the demo.
    pub(super) fn of_group(&self, report: &str, more: &str) -> Answer {
        let group: String = url::form_urlencoded::byte_serialize(self.group.as_bytes()).collect();
        let below = format!("api/v1/reports/{report}?group={group}&{more}");
        self.get(&below, OWNER_TOKEN)
    }

    /// Logs in on the way to this page, and shows it.
    pub(super) fn log_in(&self, browser: &mut Browser<'_>, below: &str, user: &str) -> Shown {
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

    pub(super) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Looks that are kept, in their order: who at what.
    #[track_caller]
    pub(super) fn expect_looks(&self, expected: &[&str]) {
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

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Answer {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }
}

fn people(world: &mut World, group: &str, member: &str) {
    world.set_now(insights::poll::clock::now());
    for name in [ADMIN, OWNER, MEMBER_OF_STAFF, member] {
        world.add_user(name);
    }
    world.user_mut(ADMIN).unwrap().admin = true;
    world.add_group(STAFF);
    world.add_member(STAFF, MEMBER_OF_STAFF);
    world.add_group(NOBODY);
    world.add_group(group);
    world.add_member(group, member);
    let properties = &mut world.group_mut(group).unwrap().properties;
    properties.insert("insights_owners".to_owned(), OWNER.into());
    world.add_user_token(ADMIN_TOKEN, ADMIN, &["admin:users"]);
    world.add_user_token(OWNER_TOKEN, OWNER, &[VISITOR]);
    world.add_user_token(MEMBER_TOKEN, member, &[VISITOR]);
    world.add_user_token(STAFF_TOKEN, MEMBER_OF_STAFF, &[VISITOR]);
    let strong = ["custom:insights:admin", VISITOR];
    world.add_user_token(STRONG_STAFF_TOKEN, MEMBER_OF_STAFF, &strong);
}

pub(super) fn today() -> Date {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    insights::poll::clock::now().to_zoned(zone).date()
}

/// The last day of the month before.
pub(super) fn end_of_month() -> Date {
    today().first_of_month().saturating_sub(1.day())
}

pub(super) fn page_token(page: &Shown) -> String {
    let rest = page.text.split("name=\"page-token\" content=\"").nth(1);
    let rest = rest.unwrap_or_else(|| panic!("{} {}", page.url, page.text));
    rest.split('"').next().unwrap().to_owned()
}
