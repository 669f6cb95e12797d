//! What `/metrics` serves, read by other people's parsers: prometheus_client for both formats,
//! `promtool` for the text, zlib and curl for gzip.

use crate::support::{Service, SimServer, block_on, http, python, tools};
use insights::metrics::described;
use insights::metrics::exposition::{Dialect, Encoding, Kind};
use insights::sim::{DEMO_TOKEN, World};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "prometheus_client_reads_exactly_the_memberships_of_the_hub",
        prometheus_client_reads_exactly_the_memberships_of_the_hub,
    ),
    (
        "every_family_states_its_help_and_type",
        every_family_states_its_help_and_type,
    ),
    (
        "promtool_has_nothing_to_complain_about",
        promtool_has_nothing_to_complain_about,
    ),
    ("curl_decompresses_the_reply", curl_decompresses_the_reply),
    (
        "a_bucket_called_like_a_real_group_steps_aside",
        a_bucket_called_like_a_real_group_steps_aside,
    ),
];

const N_USERS: usize = 1000;

/// The group at index `n` has every user whose index is a multiple of `n + 2`; the last has none.
const GROUPS: &[&str] = &[
    "multiple",
    "none",
    "\"",
    "a\nb",
    "\\",
    "a\\nb",
    "\\\"",
    "🚀",
    "é",
    "e\u{301}",
    "a}b{c=\"d\",",
    "# EOF",
    "a\rb\0c",
    " ",
    "empty",
];

/// Names of the first users; the others are `user-N`.
const ODD_USERS: &[&str] = &[
    "quote\"",
    "back\\slash",
    "line\nfeed",
    "zoë",
    "🚀",
    "ada lovelace",
    "Ada@Example.org",
    "a--b",
    "0",
    "-",
];

fn user(index: usize) -> String {
    let odd = ODD_USERS.get(index).map(|&name| name.to_owned());
    odd.unwrap_or_else(|| format!("user-{index}"))
}

fn groups_of(index: usize) -> impl Iterator<Item = &'static str> {
    let groups = GROUPS[..GROUPS.len() - 1].iter().enumerate();
    groups
        .filter(move |(n, _)| index.is_multiple_of(n + 2))
        .map(|(_, &group)| group)
}

fn fill(world: &mut World) {
    for group in GROUPS {
        assert!(world.add_group(group));
    }
    for index in 0..N_USERS {
        assert!(world.add_user(&user(index)));
        for group in groups_of(index) {
            assert!(world.add_member(group, &user(index)));
        }
    }
}

/// `(user, group)`; the group is `none_` for users in none, since a real group is called `none`.
fn expected_memberships() -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for index in 0..N_USERS {
        let mut groups: Vec<&str> = groups_of(index).collect();
        if groups.is_empty() {
            groups.push("none_");
        }
        rows.extend(groups.iter().map(|&group| (user(index), group.to_owned())));
    }
    rows.sort();
    rows
}

fn expected_sizes() -> BTreeMap<String, f64> {
    let mut sizes: BTreeMap<String, f64> = GROUPS.iter().map(|&g| (g.to_owned(), 0.0)).collect();
    for group in (0..N_USERS).flat_map(groups_of) {
        *sizes.get_mut(group).unwrap() += 1.0;
    }
    sizes
}

/// The service beside the simulated hub of these people, once it knows all of them.
struct Exporter {
    service: Service,
    _hub: SimServer,
}

impl Exporter {
    fn start(arguments: &[&str], n_rows: usize) -> Self {
        let hub = SimServer::start(fill);
        let service = Service::start(&hub.url, DEMO_TOKEN, arguments);
        service.until("all memberships", |scrape| {
            scrape.family("jupyterhub_user_group_info").len() == n_rows
        });
        Self { service, _hub: hub }
    }

    fn url(&self) -> String {
        format!("{}metrics", self.service.url)
    }

    fn body(&self, dialect: Dialect, encoding: Encoding) -> Vec<u8> {
        let accept = match dialect {
            Dialect::Text => "text/plain;version=0.0.4",
            Dialect::OpenMetrics => "application/openmetrics-text;version=1.0.0",
        };
        let mut request = http().get(self.url()).header("Accept", accept);
        if encoding == Encoding::Gzip {
            request = request.header("Accept-Encoding", "gzip");
        }
        block_on(async {
            let response = request.send().await.unwrap();
            let header = |name: &str| {
                response
                    .headers()
                    .get(name)
                    .map(|v| v.to_str().unwrap().to_owned())
            };
            assert_eq!(header("content-type").unwrap(), dialect.content_type());
            let is_gzip = encoding == Encoding::Gzip;
            assert_eq!(
                header("content-encoding"),
                is_gzip.then(|| "gzip".to_owned())
            );
            response.bytes().await.unwrap().to_vec()
        })
    }

    fn families(&self, dialect: Dialect, encoding: Encoding) -> Families {
        parsed(&self.body(dialect, encoding), dialect, encoding)
    }
}

/// A family as prometheus_client sees it.
#[derive(Deserialize)]
struct Family {
    name: String,
    r#type: String,
    help: String,
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

struct Families(Vec<Family>);

fn parsed(body: &[u8], dialect: Dialect, encoding: Encoding) -> Families {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(body).unwrap();
    let input = json!({
        "path": file.path(),
        "dialect": match dialect { Dialect::Text => "text", Dialect::OpenMetrics => "openmetrics" },
        "encoding": match encoding { Encoding::Identity => "identity", Encoding::Gzip => "gzip" },
    });
    Families(serde_json::from_value(python("exposition.py", &input)).unwrap())
}

impl Families {
    /// Samples by their own name, which OpenMetrics' families do not all have.
    fn samples(&self, name: &str) -> Vec<&Sample> {
        let samples = self.0.iter().flat_map(|family| &family.samples);
        samples.filter(|sample| sample.name == name).collect()
    }

    fn memberships(&self) -> Vec<(String, String)> {
        let samples = self.samples("jupyterhub_user_group_info");
        let rows = samples.into_iter().map(|sample| {
            assert_eq!(sample.value.to_bits(), 1.0_f64.to_bits());
            assert_eq!(sample.labels["namespace"], "jupyterhub");
            (
                sample.labels["username"].clone(),
                sample.labels["usergroup"].clone(),
            )
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort();
        rows
    }
}

const DIALECTS: [Dialect; 2] = [Dialect::Text, Dialect::OpenMetrics];

fn prometheus_client_reads_exactly_the_memberships_of_the_hub() {
    let expected = expected_memberships();
    let exporter = Exporter::start(&[], expected.len());
    let names = names_in_kubernetes();
    for dialect in DIALECTS {
        for encoding in [Encoding::Identity, Encoding::Gzip] {
            let families = exporter.families(dialect, encoding);
            assert_eq!(families.memberships(), expected, "{dialect:?} {encoding:?}");
            let sizes = families.samples("jupyterhub_group_members").into_iter();
            let sizes: BTreeMap<String, f64> = sizes
                .map(|sample| (sample.labels["usergroup"].clone(), sample.value))
                .collect();
            assert_eq!(sizes, expected_sizes(), "{dialect:?} {encoding:?}");
            for family in ["jupyterhub_user_group_info", "jupyterhub_user_name_info"] {
                for sample in families.samples(family) {
                    let label = |name: &str| sample.labels[name].clone();
                    let both = (label("username_escaped"), label("username_safe"));
                    assert_eq!(names[&label("username")], both, "{family}");
                }
            }
            assert_eq!(families.samples("jupyterhub_user_name_info").len(), N_USERS);
        }
    }
}

/// `username_escaped` and `username_safe` of each user, by kubespawner.
fn names_in_kubernetes() -> BTreeMap<String, (String, String)> {
    let users: Vec<String> = (0..N_USERS).map(user).collect();
    let slugs = python("slugs.py", &json!(users));
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let slugs = slugs.as_array().unwrap().iter();
    let slugs = slugs.map(|slugs| (text(&slugs["escaped"]), text(&slugs["safe"])));
    users.into_iter().zip(slugs).collect()
}

fn every_family_states_its_help_and_type() {
    let exporter = Exporter::start(&[], expected_memberships().len());
    let all = described::all().into_iter();
    let all: Vec<(String, Kind, &str)> = all.map(|it| (it.name, it.kind, it.help)).collect();
    for dialect in DIALECTS {
        let stated = exporter.families(dialect, Encoding::Identity).0;
        let stated = stated
            .into_iter()
            .map(|family| (family.name, family.r#type, family.help));
        let expected = all.iter().map(|(name, kind, help)| {
            // The parser takes `_total` off in both formats.
            let (name, kind) = match (kind, dialect) {
                (Kind::Gauge, _) | (Kind::Info, Dialect::Text) => (name.as_str(), "gauge"),
                (Kind::Counter, _) | (Kind::CounterBesideGauge, Dialect::Text) => {
                    (name.trim_end_matches("_total"), "counter")
                }
                (Kind::CounterBesideGauge, Dialect::OpenMetrics) => (name.as_str(), "unknown"),
                (Kind::Info, Dialect::OpenMetrics) => (name.trim_end_matches("_info"), "info"),
                (Kind::Histogram, _) => (name.as_str(), "histogram"),
            };
            (name.to_owned(), kind.to_owned(), (*help).to_owned())
        });
        assert_eq!(
            stated.collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "{dialect:?}"
        );
    }
}

fn promtool_has_nothing_to_complain_about() {
    let exporter = Exporter::start(&[], expected_memberships().len());
    let mut child = Command::new(tools().join("prometheus/usr/bin/promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = exporter.body(Dialect::Text, Encoding::Identity);
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8(said).unwrap(), "");
    assert!(output.status.success(), "{}", output.status);
}

fn curl_decompresses_the_reply() {
    let expected = expected_memberships();
    let exporter = Exporter::start(&[], expected.len());
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--compressed"]);
    let curl = curl
        .args(["--noproxy", "*"])
        .arg(exporter.url())
        .output()
        .expect("curl is needed: apt-get install curl");
    let errors = String::from_utf8_lossy(&curl.stderr);
    assert!(curl.status.success(), "{errors}");
    let families = parsed(&curl.stdout, Dialect::Text, Encoding::Identity);
    assert_eq!(families.memberships(), expected);
}

fn a_bucket_called_like_a_real_group_steps_aside() {
    let expected = (0..N_USERS).map(|index| {
        let groups: Vec<&str> = groups_of(index).collect();
        let group = match *groups {
            [] => "none_",
            [only] => only,
            _ => "multiple_",
        };
        (user(index), group.to_owned())
    });
    let mut expected: Vec<_> = expected.collect();
    expected.sort();
    let arguments = [
        "--double_count",
        "false",
        "--hub_service_prefix",
        "/services/insights/",
    ];
    let exporter = Exporter::start(&arguments, N_USERS);
    let families = exporter.families(Dialect::OpenMetrics, Encoding::Gzip);
    assert_eq!(families.memberships(), expected);
}
