//! Every address, asked by everybody in every way and format: no answer names what its reader may not
//! see, and nobody is told which groups and people there are.

mod asking;

use crate::support::web_hub::{self, WebHub};
use crate::support::{ADMIN_TOKEN, Browser, duckdb, until};
use asking::{Credentials, Question, Reply, Way, ask_all, between};
use insights::web::{ROUTES, Route, Who};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const TESTS: &[crate::Test] = &[
    ("no_answer_names_what_its_reader_may_not_see", no_names),
    ("every_address_stands_in_the_table_of_the_docs", in_the_docs),
];

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const ANY: &str = "*/*";
const JSON: &str = "application/json";

/// What the API writes beside JSON.
const FORMATS: [&str; 6] = ["csv", "parquet", "md", "html", "svg", "table"];
/// What is asked about.
const SUBJECTS: [&str; 8] = [
    "",
    "group=course-zebra-a",
    "group=course-quokka-b",
    "group=no-such-group",
    "user=lynx-uma",
    "user=tapir-xeno",
    "user=no-such-user",
    "group=course-zebra-a&user=tapir-xeno",
];
/// Reports whose own pages are opened; a page is the same for all.
const PAGES_OF: [&str; 2] = ["groups", "sessions"];

fn in_the_docs() {
    let docs = include_str!("../../../../docs/access.md");
    for Route { method, path, .. } in ROUTES {
        let path = if path.is_empty() { "." } else { path };
        let begin = format!("| `{method} {path}` | ");
        let rows = docs.lines().filter(|line| line.starts_with(&begin)).count();
        assert_eq!(rows, 1, "docs/access.md has {rows} rows of {method} {path}");
    }
}

fn no_names() {
    let web = WebHub::start();
    start_servers(&web);
    let site = Site::of(&web);
    let everybody = [
        site.someone("owner", web_hub::OWNER),
        site.someone("configured", web_hub::CONFIGURED_OWNER),
        site.someone("user", web_hub::USER),
        site.stranger(),
        Arc::new(Credentials::none("nobody")),
    ];
    let mut wrong = Wrong::default();
    site.what_is_hidden_is_there(&mut wrong);
    let mut n_answered = BTreeMap::new();
    for who in &everybody {
        let questions = ROUTES.iter().flat_map(|route| site.questions(route, who));
        let replies = site.ask(questions.collect());
        let good = replies.iter().filter(|reply| reply.status == 200);
        n_answered.insert(who.role, good.clone().count());
        let again = good.flat_map(|reply| other_formats(&reply.question));
        let again = site.ask(again.collect());
        wrong.named_in(who.role, &replies);
        wrong.named_in(who.role, &again);
        wrong.not_found_by(who.role, &replies);
        wrong.beyond_their_reach(who.role, &replies);
        wrong.told_apart(&replies);
    }
    let links = site.links();
    assert!(links.len() > 10, "{} links", links.len());
    let guest = Arc::new(Credentials::none("link"));
    let questions = links.iter().flat_map(|link| Site::of_link(link, &guest));
    let replies = site.ask(questions.collect());
    wrong.named_in("link", &replies);
    wrong.small_groups_shown(&replies);
    wrong.few_people_counted(&replies);
    n_answered.insert(
        "link",
        replies.iter().filter(|reply| reply.status == 200).count(),
    );
    // Whoever may see something was shown it, so that not everything was a refusal.
    for role in ["owner", "configured", "user", "link"] {
        assert!(n_answered[role] > 20, "{n_answered:?}");
    }
    wrong.nothing();
}

/// So that there is something about the present, and images.
fn start_servers(web: &WebHub) {
    for user in [web_hub::FELLOW, web_hub::OTHER] {
        let options = json!({"image": format!("{}:7", web_hub::IMAGE)});
        let path = format!("users/{user}/server");
        let (status, reply) = web.hub.api(Method::POST, &path, &options);
        assert!(status < 300, "{status} {reply}");
    }
    let url = web
        .hub
        .service_url("api/v1/reports/sessions?user=tapir-xeno");
    until("the servers to be known", || {
        let reply = crate::support::scrape(&url, Some(ADMIN_TOKEN));
        reply.text.contains(web_hub::IMAGE).then_some(())
    })
    .unwrap_or_else(|| panic!("{}", web.hub.log()));
}

/// Whether somebody may open anything.
#[derive(Clone, Copy)]
enum Reader {
    Known,
    Unknown,
}

/// The service, and what can be asked of it.
struct Site<'a> {
    web: &'a WebHub,
    prefix: String,
    reports: Vec<String>,
}

impl<'a> Site<'a> {
    fn of(web: &'a WebHub) -> Self {
        let url = web.hub.service_url("api/v1/reports");
        let list = crate::support::scrape(&url, Some(ADMIN_TOKEN));
        let list: Value = serde_json::from_str(&list.text).unwrap();
        let reports = list["reports"].as_array().unwrap().iter();
        let reports = reports.map(|report| report["name"].as_str().unwrap().to_owned());
        Self {
            web,
            prefix: web.hub.service_url(""),
            reports: reports.collect(),
        }
    }

    fn someone(&self, role: &'static str, user: &str) -> Arc<Credentials> {
        let token = self.web.hub.user_token(user);
        let mut browser = Browser::new(&self.web.hub);
        Arc::new(Credentials::of(role, &mut browser, user, &token))
    }

    /// Has a token of the hub that opens nothing here.
    fn stranger(&self) -> Arc<Credentials> {
        Arc::new(Credentials {
            token: self.web.hub.user_token(web_hub::STRANGER),
            ..Credentials::none("stranger")
        })
    }

    fn ask(&self, questions: Vec<Question>) -> Vec<Reply> {
        ask_all(&self.prefix, questions)
    }

    /// Whatever is looked for below is found by who may see it: the search would notice it.
    fn what_is_hidden_is_there(&self, wrong: &mut Wrong) {
        let admin = Arc::new(Credentials {
            token: ADMIN_TOKEN.to_owned(),
            ..Credentials::none("admin")
        });
        let paths = [
            "users",
            "groups",
            "now",
            "api/v1/events",
            "api/v1/reports/sessions",
        ];
        let questions = paths.map(|path| Question {
            path: path.to_owned(),
            accept: if path.starts_with("api") { ANY } else { HTML },
            ..get(&admin, Way::Program)
        });
        let replies = self.ask(questions.to_vec());
        let all: String = replies.iter().map(Reply::all).collect();
        for word in WebHub::hidden_from("nobody") {
            if !all.contains(word) {
                wrong.note(format!("even an administrator does not find {word}"));
            }
        }
    }

    /// All that is asked of an address.
    fn questions(&self, route: &Route, who: &Arc<Credentials>) -> Vec<Question> {
        if route.method == "POST" {
            return posts(route, who);
        }
        let ways: &[(Way, &'static str)] = match route.path {
            path if path.starts_with("parts/") || path == "now/rows" => &[(Way::Page, HTML)],
            path if path.starts_with("api/") => &[(Way::Program, JSON), (Way::Person, HTML)],
            _ => &[(Way::Person, HTML), (Way::Program, ANY), (Way::Page, HTML)],
        };
        let mut questions = Vec::new();
        let reader = if who.page_token.is_empty() {
            Reader::Unknown
        } else {
            Reader::Known
        };
        for path in self.paths(route.path, reader) {
            for &(way, accept) in ways {
                // A cookie and a token of the hub lead to the same answer: asked of a part of them.
                let is_dear = path.contains("api/v1/reports/") && way == Way::Person;
                if is_dear
                    && !PAGES_OF
                        .iter()
                        .any(|name| path.contains(&format!("/{name}?")))
                {
                    continue;
                }
                questions.push(Question {
                    path: path.clone(),
                    accept,
                    ..get(who, way)
                });
            }
        }
        questions
    }

    /// Addresses of a route with everything that could stand in them.
    #[track_caller]
    fn paths(&self, path: &str, who: Reader) -> Vec<String> {
        let of_reports = |names: &[&str], begin: &str| {
            let all = names
                .iter()
                .flat_map(|name| SUBJECTS.map(|about| format!("{begin}{name}?{about}")));
            all.collect::<Vec<_>>()
        };
        let reports: Vec<&str> = match who {
            Reader::Known => self.reports.iter().map(String::as_str).collect(),
            // Turned away before it is looked at which report it is.
            Reader::Unknown => PAGES_OF.to_vec(),
        };
        match path {
            "groups/one" => named(
                path,
                &[
                    web_hub::ZEBRA,
                    web_hub::QUOKKA,
                    web_hub::EVIL_GROUP,
                    "no-such-group",
                ],
            ),
            "users/one" => named(
                path,
                &[
                    web_hub::USER,
                    web_hub::OTHER,
                    web_hub::EVIL_USER,
                    "no-such-user",
                ],
            ),
            "reports/{name}" => of_reports(&PAGES_OF, "reports/"),
            "parts/{report}" => of_reports(&reports, "parts/"),
            "api/v1/reports/{name}" => of_reports(&reports, "api/v1/reports/"),
            "assets/{file}" => [
                "insights.css",
                "insights.js",
                "chart.css",
                "chart.js",
                "no-such",
            ]
            .map(|file| format!("assets/{file}"))
            .to_vec(),
            "shared/{token}" => vec!["shared/no-such-link".to_owned()],
            "shared/{token}/{format}" => vec!["shared/no-such-link/csv".to_owned()],
            "oauth_callback" => vec![path.to_owned(), format!("{path}?code=x&state=y")],
            "api/v1/events" => SUBJECTS.map(|about| format!("{path}?{about}")).to_vec(),
            path if path.contains('{') => panic!("nothing is asked of {path}"),
            path => vec![path.to_owned()],
        }
    }

    /// Links to each report that can be shared, about everybody and about a group.
    fn links(&self) -> Vec<String> {
        let mut browser = Browser::new(&self.web.hub);
        browser.log_in(web_hub::ADMIN, None);
        let page = browser.open("services/insights/shares");
        assert_eq!(page.status, 200, "{}", page.text);
        let token = between(&page.text, "name=\"page-token\" content=\"", "\"");
        let select = between(&page.text, "<select name=\"report\"", "</select>");
        let reports = select.split("<option value=\"").skip(1);
        let reports = reports.filter_map(|rest| rest.split('"').next());
        let subjects = ["", web_hub::ZEBRA];
        let all = reports.flat_map(|report| subjects.map(|group| (report, group)));
        let made = all.filter_map(|(report, group)| {
            let form = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("page_token", token)
                .append_pair("report", report)
                .append_pair("group", group)
                .append_pair("days", "3")
                .finish();
            let url = self.web.hub.service_url("shares").parse().unwrap();
            let made = browser.step(Method::POST, &url, Some(form)).shown();
            // Some cannot be asked about a group.
            (made.status == 200).then(|| between(&made.text, "/shared/", "\"").to_owned())
        });
        made.collect()
    }

    fn of_link(link: &str, guest: &Arc<Credentials>) -> Vec<Question> {
        let files = ["", "/csv", "/json", "/md"];
        let questions = files.map(|file| Question {
            path: format!("shared/{link}{file}"),
            accept: HTML,
            ..get(guest, Way::Program)
        });
        questions.to_vec()
    }
}

fn get(who: &Arc<Credentials>, way: Way) -> Question {
    Question {
        who: Arc::clone(who),
        way,
        method: Method::GET,
        path: String::new(),
        accept: ANY,
        body: None,
    }
}

fn named(path: &str, names: &[&str]) -> Vec<String> {
    let query = |name: &&str| {
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        format!("{path}?name={name}")
    };
    names.iter().map(query).collect()
}

/// What somebody may not do is not done and names nobody; what they may do is for other tests.
fn posts(route: &Route, who: &Arc<Credentials>) -> Vec<Question> {
    let is_logged_in = !who.page_token.is_empty();
    if is_logged_in && route.who == Who::People {
        return Vec::new();
    }
    let ways = [Way::Page, Way::Program, Way::Person];
    let body = format!(
        "page_token={}&report=sessions&sql=select+*+from+sessions&id=x",
        who.page_token
    );
    let questions = ways.map(|way| Question {
        method: Method::POST,
        path: route.path.to_owned(),
        accept: HTML,
        body: Some(body.clone()),
        ..get(who, way)
    });
    questions.to_vec()
}

/// The same in every other format, of what was answered.
fn other_formats(question: &Question) -> Vec<Question> {
    let is_report = question.path.starts_with("api/v1/reports/");
    let is_about_something = question.path.contains('=');
    if !is_report
        || !is_about_something
        || question.method != Method::GET
        || question.way != Way::Program
    {
        return Vec::new();
    }
    let formats = FORMATS.map(|format| Question {
        path: format!("{}&format={format}", question.path),
        accept: ANY,
        ..question.clone()
    });
    formats.to_vec()
}

/// Everything that is not as it should be.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn note(&mut self, what: String) {
        self.0.push(what);
    }

    /// Names that this reader may not see; but what they wrote into the address they know.
    fn named_in(&mut self, role: &str, replies: &[Reply]) {
        let hidden = WebHub::hidden_from(role);
        let files = Files::of(replies);
        for reply in replies {
            let text = files.text_of(reply).unwrap_or_else(|| reply.all());
            let asked = &reply.question.path;
            let named: Vec<&&str> = hidden
                .iter()
                .filter(|word| text.contains(**word) && !asked.contains(**word))
                .collect();
            if !named.is_empty() {
                self.note(format!(
                    "{} ({}) names {named:?}",
                    reply.question, reply.status
                ));
            }
        }
    }

    /// What they may see they are shown, or the rest would show nothing.
    fn not_found_by(&mut self, role: &str, replies: &[Reply]) {
        let finds: &[&str] = match role {
            "owner" => &[
                web_hub::OWNER,
                web_hub::ZEBRA,
                web_hub::FELLOW,
                web_hub::USER,
            ],
            "configured" => &[web_hub::QUOKKA, web_hub::OTHER, web_hub::USER],
            "user" => &[web_hub::USER],
            _ => &[],
        };
        for begin in ["api/", "parts/"] {
            let of_these = replies
                .iter()
                .filter(|reply| reply.status == 200 && reply.question.path.starts_with(begin));
            let all: String = of_these.map(Reply::text).collect();
            for word in finds {
                // Parts name nobody to whom they belong.
                let is_own_group = role == "owner" && *word == web_hub::OWNER;
                let is_expected = !(is_own_group && begin == "parts/");
                if is_expected && !all.contains(word) {
                    self.note(format!("{role} does not find {word} below {begin}"));
                }
            }
        }
    }

    /// Answers to who is not meant, as the list of addresses says it.
    fn beyond_their_reach(&mut self, role: &str, replies: &[Reply]) {
        let rank = match role {
            "owner" | "configured" => 2,
            "user" => 1,
            _ => 0,
        };
        for reply in replies {
            let path = reply.question.path.split('?').next().unwrap_or_default();
            let route = ROUTES.iter().find(|route| fits(route.path, path));
            let needed = match route.map(|route| route.who) {
                Some(Who::Anybody | Who::ShareLink) | None => 0,
                Some(Who::People | Who::ScrapersAndPeople) => 1,
                Some(Who::Owners) => 2,
                Some(Who::Admins | Who::Scrapers | Who::Writers) => 3,
            };
            if rank < needed && (200..300).contains(&reply.status) {
                self.note(format!("{} answers {}", reply.question, reply.status));
            }
        }
    }

    /// What is hidden is refused as what is not there.
    fn told_apart(&mut self, replies: &[Reply]) {
        let pairs = [
            (web_hub::QUOKKA, "no-such-group"),
            (web_hub::OTHER, "no-such-user"),
        ];
        let by_question: BTreeMap<String, &Reply> = replies
            .iter()
            .map(|reply| (reply.question.to_string(), reply))
            .collect();
        for reply in replies {
            let role = reply.question.who.role;
            for (hidden, missing) in pairs {
                let is_theirs = !WebHub::hidden_from(role).contains(&hidden) && role != "user";
                if is_theirs || !reply.question.path.contains(hidden) {
                    continue;
                }
                let question = reply.question.to_string().replace(hidden, missing);
                let Some(other) = by_question.get(&question) else {
                    continue;
                };
                let plain =
                    |reply: &Reply, name: &str| without_secrets(&reply.text()).replace(name, "…");
                let same =
                    reply.status == other.status && plain(reply, hidden) == plain(other, missing);
                if !same {
                    self.note(format!(
                        "{} answers {} and of what is not there {}:\n    {:.300}\n    {:.300}",
                        reply.question,
                        reply.status,
                        other.status,
                        reply.text(),
                        other.text()
                    ));
                }
            }
        }
    }

    /// Figures about fewer than five.
    fn small_groups_shown(&mut self, replies: &[Reply]) {
        let mut n_rows = 0;
        for reply in replies
            .iter()
            .filter(|reply| reply.question.path.ends_with("/json"))
        {
            let Ok(answer) = serde_json::from_slice::<Value>(&reply.body) else {
                continue;
            };
            if answer["report"] != "groups" {
                continue;
            }
            for row in answer["rows"].as_array().into_iter().flatten() {
                n_rows += 1;
                for figure in ["members", "participants", "sessions", "hours"] {
                    if !row[figure].is_null() {
                        self.note(format!("{} shows {figure} of {row}", reply.question));
                    }
                }
            }
        }
        if n_rows == 0 {
            self.note("no link shows groups".to_owned());
        }
    }

    /// Numbers of people between one and four, of whatever report.
    fn few_people_counted(&mut self, replies: &[Reply]) {
        const OF_PEOPLE: [&str; 15] = [
            "users",
            "daily",
            "weekly",
            "monthly",
            "active",
            "members",
            "participants",
            "size",
            "new",
            "staying",
            "first_time",
            "returning",
            "lapsed",
            "accounts_added",
            "accounts_removed",
        ];
        let mut seen = BTreeSet::new();
        let files = replies
            .iter()
            .filter(|reply| reply.question.path.ends_with("/json"));
        for reply in files {
            let Ok(answer) = serde_json::from_slice::<Value>(&reply.body) else {
                continue;
            };
            let rows = answer["rows"].as_array().into_iter().flatten();
            for (row, column) in rows.flat_map(|row| OF_PEOPLE.map(|column| (row, column))) {
                if row.get(column).is_some() {
                    seen.insert(column);
                }
                if matches!(row[column].as_u64(), Some(1..5)) {
                    self.note(format!("{} shows {column} of {row}", reply.question));
                }
            }
        }
        if seen.len() < 9 {
            self.note(format!("links show no more numbers than {seen:?}"));
        }
    }

    #[track_caller]
    fn nothing(self) {
        let all: BTreeSet<String> = self.0.into_iter().collect();
        let first: Vec<&str> = all.iter().map(String::as_str).take(60).collect();
        assert!(
            all.is_empty(),
            "{} things:\n{}",
            all.len(),
            first.join("\n")
        );
    }
}

/// Whether an address is one of a route.
fn fits(route: &str, path: &str) -> bool {
    let (route, path): (Vec<&str>, Vec<&str>) =
        (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len()
        && route
            .iter()
            .zip(path)
            .all(|(known, step)| known.starts_with('{') || *known == step)
}

/// Two pages differ in their times.
fn without_secrets(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.contains("datetime=") && !line.contains("page_token"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What stands in the Parquet files among the replies.
struct Files(BTreeMap<String, String>);

impl Files {
    fn of(replies: &[Reply]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = replies
            .iter()
            .filter(|reply| reply.body.starts_with(b"PAR1"));
        let mut paths = Vec::new();
        let mut questions = Vec::new();
        for (n, reply) in files.enumerate() {
            let path = folder.path().join(format!("{n}.parquet"));
            std::fs::write(&path, &reply.body).unwrap();
            paths.push(path.to_str().unwrap().to_owned());
            questions.push(reply.question.to_string());
        }
        if paths.is_empty() {
            return Self(BTreeMap::new());
        }
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let texts = duckdb("parquet_text.py", &paths, b"");
        assert_eq!(texts.len(), questions.len());
        Self(questions.into_iter().zip(texts).collect())
    }

    fn text_of(&self, reply: &Reply) -> Option<String> {
        let text = self.0.get(&reply.question.to_string())?;
        Some(format!("{}\n{text}\n{}", reply.head, reply.text()))
    }
}
