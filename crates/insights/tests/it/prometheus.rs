//! The main job on real input: a real Prometheus scrapes a real hub's service, and the queries
//! that sites run over our memberships give, per group, what arithmetic gives.
//!
//! Memory comes from series with the labels that cAdvisor (in a kubelet with containerd) and
//! kube-state-metrics give them, also those which a query must leave out.

use crate::support::{
    METRICS_TOKEN, NEWEST_NAMESPACE, Prometheus, READER_TOKEN, RealHub, ScrapeJob, Service,
    SimServer, StaticExporter, newest_hub,
};
use insights::sim::DEMO_TOKEN;
use model::slug;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "a_real_prometheus_learns_from_a_real_hub_who_is_in_which_group",
        a_real_prometheus_learns_from_a_real_hub_who_is_in_which_group,
    ),
    (
        "the_published_query_gives_a_selected_group_its_memory",
        the_published_query_gives_a_selected_group_its_memory,
    ),
    (
        "the_query_for_all_groups_gives_each_its_memory",
        the_query_for_all_groups_gives_each_its_memory,
    ),
    (
        "however_people_in_several_groups_count_each_group_gets_its_memory",
        however_people_in_several_groups_count_each_group_gets_its_memory,
    ),
    (
        "a_group_called_quote_survives_prometheus",
        a_group_called_quote_survives_prometheus,
    ),
];

/// As the users of the Python exporter run it in Grafana; for one selected group. With several it
/// fails as soon as somebody is in two of them.
pub(crate) const MEMORY_OF_SELECTED_GROUP: &str = r#"
sum(
  container_memory_working_set_bytes{name!="", pod=~"jupyter-.*", namespace=~"$hub_name"}
    * on (namespace, pod) group_left(annotation_hub_jupyter_org_username, usergroup)
    group(kube_pod_annotations{namespace=~"$hub_name", annotation_hub_jupyter_org_username=~".*", pod=~"jupyter-.*"})
      by (pod, namespace, annotation_hub_jupyter_org_username)
    * on (namespace, annotation_hub_jupyter_org_username) group_left(usergroup)
    group(label_replace(jupyterhub_user_group_info{namespace=~"$hub_name", username=~".*", usergroup=~"$user_group"},
      "annotation_hub_jupyter_org_username", "$1", "username", "(.+)"))
      by (annotation_hub_jupyter_org_username, usergroup, namespace)
) by (usergroup, namespace)
"#;

/// Ours, for any number of groups: first the sum per user, then once for each of the user's
/// groups. The last matcher leaves out the extra row of `--compat`; without that switch it may go,
/// and it must go with `--double_count false` or where a real group is called `multiple`.
pub(crate) const MEMORY_OF_ALL_GROUPS: &str = r#"
sum by (namespace, usergroup) (
  sum by (namespace, annotation_hub_jupyter_org_username) (
    container_memory_working_set_bytes{name!="", pod=~"jupyter-.*", namespace=~"$hub_name"}
    * on (namespace, pod) group_left (annotation_hub_jupyter_org_username)
    group by (namespace, pod, annotation_hub_jupyter_org_username) (
      kube_pod_annotations{namespace=~"$hub_name", pod=~"jupyter-.*"}
    )
  )
  * on (namespace, annotation_hub_jupyter_org_username) group_right ()
  group by (namespace, annotation_hub_jupyter_org_username, usergroup) (
    label_replace(
      jupyterhub_user_group_info{namespace=~"$hub_name", usergroup=~"$user_group", usergroup!="multiple"},
      "annotation_hub_jupyter_org_username", "$1", "username", "(.+)"
    )
  )
)
"#;

/// A server of a user: its name, and the bytes of the user's container.
struct Server {
    user: &'static str,
    name: &'static str,
    bytes: u64,
}

const fn server(user: &'static str, name: &'static str, bytes: u64) -> Server {
    Server { user, name, bytes }
}

impl Server {
    /// What counts, in the namespace where each user's container has `factor` times its bytes.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sums stay below 2^53, where they are exact"
    )]
    fn total(&self, factor: u64) -> f64 {
        (self.bytes * factor + SANDBOX_BYTES) as f64
    }
}

/// What runs on [`newest_hub`]: several servers of one user, users in several groups and in none;
/// `chloe-1` of the group art and `emil.noether@example.org` run nothing.
const SERVERS: &[Server] = &[
    server("ada", "", 812_345_601),
    server("ada", "gpu", 4_194_304_002),
    server("ben", "", 101_000_003),
    server("zoë.müller", "", 77_700_004),
    server("grace.hopper@example.org", "", 505_050_005),
    server("grace.hopper@example.org", "batch-2", 60_006),
    server("user--2", "", 7_000_000_007),
    server("dora", "", 88_888_008),
    server("dora", "old lab", 9_009),
];

/// Beside the user's container each pod has its sandbox, which counts.
const SANDBOX_BYTES: u64 = 450_560;

/// `user -> groups`.
type People = BTreeMap<String, Vec<String>>;

/// What arithmetic gives: `group -> bytes`.
type Sums = BTreeMap<String, f64>;

#[derive(Clone, Copy)]
enum Counting {
    InEach,
    Bucket,
}

/// Who is in which group, as the hub was told.
fn people(told: &Value) -> People {
    let name = |value: &Value| value.as_str().unwrap().to_owned();
    let mut people = People::new();
    for user in told["users"].as_array().unwrap() {
        people.entry(name(user)).or_default();
    }
    for (group, members) in told["groups"].as_object().unwrap() {
        for user in members["users"].as_array().unwrap() {
            people.entry(name(user)).or_default().push(group.clone());
        }
    }
    people
}

/// The groups that a user's memory is added to.
fn counted(groups: &[String], counting: Counting) -> Vec<&str> {
    match (groups, counting) {
        ([], _) => vec!["none"],
        ([_, _, ..], Counting::Bucket) => vec!["multiple"],
        _ => groups.iter().map(String::as_str).collect(),
    }
}

fn sums(people: &People, servers: &[Server], factor: u64, counting: Counting) -> Sums {
    let mut sums = Sums::new();
    for server in servers {
        for group in counted(&people[server.user], counting) {
            *sums.entry(group.to_owned()).or_default() += server.total(factor);
        }
    }
    sums
}

fn n_memberships(people: &People, counting: Counting) -> usize {
    people
        .values()
        .map(|groups| counted(groups, counting).len())
        .sum()
}

/// What cAdvisor and kube-state-metrics say about a cluster.
struct Cluster {
    cadvisor: String,
    kube_state_metrics: String,
    n_containers: usize,
    n_pods: usize,
}

impl Cluster {
    fn new() -> Self {
        let mut cluster = Self {
            cadvisor: "# TYPE container_memory_working_set_bytes gauge\n".to_owned(),
            kube_state_metrics: "# TYPE kube_pod_annotations gauge\n".to_owned(),
            n_containers: 0,
            n_pods: 0,
        };
        let slices = [
            "/",
            "/kubepods.slice",
            "/kubepods.slice/kubepods-burstable.slice",
        ];
        for id in slices {
            cluster.container(&[("id", id)], 99_999_999_999);
        }
        cluster
    }

    /// The servers of a hub and what else runs in its namespace.
    fn add_hub(&mut self, namespace: &str, servers: &[Server], factor: u64) {
        for server in servers {
            let safe = slug::safe(server.user);
            let pod = match server.name {
                "" => format!("jupyter-{safe}"),
                name => format!("jupyter-{safe}--{}", slug::safe(name)),
            };
            self.pod(namespace, &pod, server.bytes * factor);
            self.annotations(namespace, &pod, server.user, "1");
        }
        // A pod that was started again under its name: two series for some minutes.
        let again = format!("jupyter-{}", slug::safe(servers[0].user));
        self.annotations(namespace, &again, servers[0].user, "2");
        // Belongs to a user, but is no server.
        self.pod(namespace, "dask-worker-1", 33_333);
        self.annotations(namespace, "dask-worker-1", servers[0].user, "1");
        self.pod(namespace, "hub-6f7d9c-x2x4z", 150_000_000);
        self.annotations(namespace, "hub-6f7d9c-x2x4z", "", "1");
    }

    /// The user's container, the sandbox, and the sum of both, which has no name.
    fn pod(&mut self, namespace: &str, pod: &str, bytes: u64) {
        let id = format!("/kubepods.slice/kubepods-burstable.slice/pod-{namespace}-{pod}");
        let names = [("namespace", namespace), ("pod", pod)];
        let image = ("image", "quay.io/jupyter/scipy-notebook:2026-11-02");
        let user = [
            ("container", "notebook"),
            ("name", "a1b2"),
            ("id", &format!("{id}/a1b2")),
            image,
        ];
        let image = ("image", "registry.k8s.io/pause:3.9");
        let sandbox = [
            ("container", ""),
            ("name", "b2c3"),
            ("id", &format!("{id}/b2c3")),
            image,
        ];
        let both = [("container", ""), ("name", ""), ("id", &id), ("image", "")];
        self.container(&[names.as_slice(), &user].concat(), bytes);
        self.container(&[names.as_slice(), &sandbox].concat(), SANDBOX_BYTES);
        self.container(&[names.as_slice(), &both].concat(), bytes + SANDBOX_BYTES);
    }

    fn container(&mut self, labels: &[(&str, &str)], bytes: u64) {
        let labels = written(labels);
        let _ = writeln!(
            self.cadvisor,
            "container_memory_working_set_bytes{{{labels}}} {bytes}"
        );
        self.n_containers += 1;
    }

    /// With `--metric-annotations-allowlist=pods=[hub.jupyter.org/username]`.
    fn annotations(&mut self, namespace: &str, pod: &str, user: &str, uid: &str) {
        let user = ("annotation_hub_jupyter_org_username", user);
        let labels = written(&[("namespace", namespace), ("pod", pod), ("uid", uid), user]);
        let _ = writeln!(
            self.kube_state_metrics,
            "kube_pod_annotations{{{labels}}} 1"
        );
        self.n_pods += 1;
    }
}

/// Labels as a sample line has them.
fn written(labels: &[(&str, &str)]) -> String {
    let labels = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    labels.collect::<Vec<_>>().join(",")
}

/// As exposition formats and PromQL both write a text between quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

/// A query with Grafana's variables filled in. Groups are what the variable has selected: regular
/// expressions that match them literally, several in brackets.
fn filled_in(promql: &str, hub_name: &str, groups: &[&str]) -> String {
    let literal = |group: &&str| {
        let mut literal = String::new();
        for character in group.chars() {
            if r"\^$*{}[]'+?.()|".contains(character) {
                literal.push('\\');
            }
            literal.push(character);
        }
        escaped(&literal)
    };
    let groups: Vec<String> = groups.iter().map(literal).collect();
    let groups = match &*groups {
        [] => ".*".to_owned(),
        [group] => group.clone(),
        several => format!("({})", several.join("|")),
    };
    promql
        .replace("$hub_name", hub_name)
        .replace("$user_group", &groups)
}

/// Prometheus beside exporters and the services of hubs.
struct Site {
    prometheus: Prometheus,
    _exporters: [StaticExporter; 2],
}

impl Site {
    /// Starts Prometheus and waits until it has scraped the cluster.
    fn start(cluster: Cluster, services: Vec<ScrapeJob>) -> Self {
        let cadvisor = StaticExporter::start(cluster.cadvisor);
        let kube_state_metrics = StaticExporter::start(cluster.kube_state_metrics);
        let mut jobs = services;
        jobs.push(ScrapeJob::new(
            "kubernetes-nodes-cadvisor",
            cadvisor.url.clone(),
        ));
        jobs.push(ScrapeJob::new(
            "kube-state-metrics",
            kube_state_metrics.url.clone(),
        ));
        let prometheus = Prometheus::start(&jobs);
        prometheus.until_there_are(cluster.n_containers, "container_memory_working_set_bytes");
        prometheus.until_there_are(cluster.n_pods, "kube_pod_annotations");
        Self {
            prometheus,
            _exporters: [cadvisor, kube_state_metrics],
        }
    }

    fn until_there_are_memberships(&self, namespace: &str, n_rows: usize) {
        let query = format!("jupyterhub_user_group_info{{namespace={namespace:?}}}");
        self.prometheus.until_there_are(n_rows, &query);
    }

    /// The answer as `group -> value`, all in this namespace.
    fn sums(&self, namespace: &str, promql: &str) -> Sums {
        let series = self
            .prometheus
            .query(promql)
            .unwrap_or_else(|error| panic!("{error}\n{promql}"));
        let n_series = series.len();
        let sums = series.into_iter().map(|series| {
            assert_eq!(series.labels.len(), 2, "{series:?}");
            assert_eq!(series.label("namespace"), namespace);
            (series.label("usergroup").to_owned(), series.value)
        });
        let sums: Sums = sums.collect();
        assert_eq!(sums.len(), n_series);
        sums
    }

    /// Bytes of all servers, whoever they belong to.
    fn total(&self, namespace: &str) -> f64 {
        let query = format!(
            r#"sum(container_memory_working_set_bytes{{name!="",pod=~"jupyter-.*",namespace={namespace:?}}})"#
        );
        self.prometheus.query(&query).unwrap()[0].value
    }

    /// Asks the published query for each group in turn, also those that have nothing.
    fn sums_of_selected_groups(&self, namespace: &str, groups: &[&str]) -> Sums {
        let mut sums = Sums::new();
        for group in groups {
            let query = filled_in(MEMORY_OF_SELECTED_GROUP, namespace, &[group]);
            let answer = self.sums(namespace, &query);
            assert!(answer.keys().all(|key| key == group), "{group}: {answer:?}");
            sums.extend(answer);
        }
        sums
    }
}

/// All groups of these people, empty ones and pseudo groups too.
fn groups(told: &Value) -> Vec<&str> {
    let groups = told["groups"].as_object().unwrap().keys();
    groups
        .map(String::as_str)
        .chain(["none", "multiple"])
        .collect()
}

/// The shared hub, whose own service is scraped through the hub's proxy.
struct RealSite {
    site: Site,
    told: Value,
    people: People,
    _hub: Arc<RealHub>,
}

impl RealSite {
    fn start() -> Self {
        let hub = RealHub::shared("newest", newest_hub);
        let told = newest_hub().people;
        let people = people(&told);
        let mut cluster = Cluster::new();
        cluster.add_hub(NEWEST_NAMESPACE, SERVERS, 1);
        // Pods of the same names in another hub's namespace.
        cluster.add_hub("other-ns", SERVERS, 3);
        let url = hub.service_url("metrics");
        let token = Some(METRICS_TOKEN);
        let site = Site::start(
            cluster,
            vec![ScrapeJob {
                name: "insights",
                url,
                token,
            }],
        );
        site.until_there_are_memberships(
            NEWEST_NAMESPACE,
            n_memberships(&people, Counting::InEach),
        );
        Self {
            site,
            told,
            people,
            _hub: hub,
        }
    }

    fn expected(&self) -> Sums {
        sums(&self.people, SERVERS, 1, Counting::InEach)
    }
}

fn a_real_prometheus_learns_from_a_real_hub_who_is_in_which_group() {
    let real = RealSite::start();
    let prometheus = &real.site.prometheus;
    let rows = prometheus.query("jupyterhub_user_group_info").unwrap();
    let mut learned: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            assert_eq!(row.value.to_bits(), 1.0_f64.to_bits());
            assert_eq!(row.label("job"), "insights");
            [
                "namespace",
                "username",
                "usergroup",
                "username_escaped",
                "username_safe",
            ]
            .map(|name| row.label(name).to_owned())
        })
        .collect();
    learned.sort();
    let mut expected = Vec::new();
    for (user, groups) in &real.people {
        for group in counted(groups, Counting::InEach) {
            let texts = [
                NEWEST_NAMESPACE,
                user,
                group,
                &slug::escaped(user),
                &slug::safe(user),
            ];
            expected.push(texts.map(str::to_owned));
        }
    }
    expected.sort();
    assert_eq!(learned, expected);
    let up = prometheus.query("jupyterhub_insights_hub_up == 1").unwrap();
    assert_eq!(up.len(), 1);
    let members = prometheus.query(r#"jupyterhub_group_members{usergroup="empty-group"} == 0"#);
    assert_eq!(members.unwrap().len(), 1);
}

fn the_published_query_gives_a_selected_group_its_memory() {
    let real = RealSite::start();
    let sums = real
        .site
        .sums_of_selected_groups(NEWEST_NAMESPACE, &groups(&real.told));
    assert_eq!(sums, real.expected());
    // Why there is a second query.
    let both = filled_in(
        MEMORY_OF_SELECTED_GROUP,
        NEWEST_NAMESPACE,
        &["physics", "art"],
    );
    let error = real.site.prometheus.query(&both).unwrap_err();
    assert!(
        error.contains("many-to-many matching not allowed"),
        "{error}"
    );
}

fn the_query_for_all_groups_gives_each_its_memory() {
    let real = RealSite::start();
    let expected = real.expected();
    let ask = |groups: &[&str]| {
        let query = filled_in(MEMORY_OF_ALL_GROUPS, NEWEST_NAMESPACE, groups);
        real.site.sums(NEWEST_NAMESPACE, &query)
    };
    assert_eq!(ask(&[]), expected);
    assert_eq!(ask(&groups(&real.told)), expected);
    // The other namespace has servers but no memberships.
    let all_hubs = filled_in(MEMORY_OF_ALL_GROUPS, ".*", &[]);
    assert_eq!(real.site.sums(NEWEST_NAMESPACE, &all_hubs), expected);
    for group in groups(&real.told) {
        let one = expected.get(group).map(|&sum| (group.to_owned(), sum));
        assert_eq!(ask(&[group]), one.into_iter().collect(), "{group}");
    }
}

/// What is asked of each way of counting, on one hub. Each service has a namespace of its own.
fn however_people_in_several_groups_count_each_group_gets_its_memory() {
    let hub = RealHub::shared("newest", newest_hub);
    let told = newest_hub().people;
    let people = people(&told);
    let start = |arguments: &[&str]| Service::start(&hub.internal_url, READER_TOKEN, arguments);
    let bucket = start(&[
        "--double_count",
        "false",
        "--jupyterhub_namespace",
        "bucket-ns",
    ]);
    let compat = start(&[
        "--compat",
        "--double_count",
        "true",
        "--jupyterhub_namespace",
        "compat-ns",
    ]);
    let split = start(&[
        "--set",
        "groups.multiple=split",
        "--set",
        "metrics.namespace=split-ns",
    ]);
    let mut cluster = Cluster::new();
    cluster.add_hub("bucket-ns", SERVERS, 2);
    cluster.add_hub("compat-ns", SERVERS, 5);
    cluster.add_hub("split-ns", SERVERS, 7);
    // With its flags our metrics are where the Python exporter has them.
    let python_url = |service: &Service| service.url.replace("/insights/", "/groups-exporter/");
    let jobs = vec![
        ScrapeJob::new("bucket", python_url(&bucket)),
        ScrapeJob::new("compat", python_url(&compat)),
        ScrapeJob::new("split", split.url.clone()),
    ];
    let site = Site::start(cluster, jobs);
    let n_in_each = n_memberships(&people, Counting::InEach);
    let n_in_several = people.values().filter(|groups| groups.len() > 1).count();
    site.until_there_are_memberships("bucket-ns", n_memberships(&people, Counting::Bucket));
    site.until_there_are_memberships("compat-ns", n_in_each + n_in_several);
    site.until_there_are_memberships("split-ns", n_in_each);

    check_bucket(&site, &told, &people);
    check_compat(&site, &told, &people);
    check_split(&site, &people);
}

fn check_bucket(site: &Site, told: &Value, people: &People) {
    let expected = sums(people, SERVERS, 2, Counting::Bucket);
    assert_eq!(
        site.sums_of_selected_groups("bucket-ns", &groups(told)),
        expected
    );
    let query = filled_in(&memory_of_all_groups_and_multiple(), "bucket-ns", &[]);
    assert_eq!(site.sums("bucket-ns", &query), expected);
    // What a bill needs: the groups add up to the users.
    let sum: f64 = expected.values().sum();
    assert_eq!(sum.to_bits(), site.total("bucket-ns").to_bits());
}

fn check_compat(site: &Site, told: &Value, people: &People) {
    let expected = sums(people, SERVERS, 5, Counting::InEach);
    let query = filled_in(MEMORY_OF_ALL_GROUPS, "compat-ns", &[]);
    assert_eq!(site.sums("compat-ns", &query), expected);
    let multiple = sums(people, SERVERS, 5, Counting::Bucket)["multiple"];
    let mut with_extra_row = expected;
    with_extra_row.insert("multiple".to_owned(), multiple);
    assert_eq!(
        site.sums_of_selected_groups("compat-ns", &groups(told)),
        with_extra_row
    );
    let query = filled_in(&memory_of_all_groups_and_multiple(), "compat-ns", &[]);
    assert_eq!(site.sums("compat-ns", &query), with_extra_row);
}

/// Shares are what the sum per user is multiplied with, so that the groups add up to the users.
fn check_split(site: &Site, people: &People) {
    let by_share = MEMORY_OF_ALL_GROUPS
        .replace("jupyterhub_user_group_info", "jupyterhub_user_group_share")
        .replace(
            "  group by (namespace, annotation",
            "  max by (namespace, annotation",
        );
    let answer = site.sums("split-ns", &filled_in(&by_share, "split-ns", &[]));
    let mut expected = Sums::new();
    for (user, groups) in people {
        let servers = SERVERS.iter().filter(|server| server.user == user);
        let bytes: f64 = servers.map(|server| server.total(7)).sum();
        let groups = counted(groups, Counting::InEach);
        let share = bytes / f64::from(u32::try_from(groups.len()).unwrap());
        for group in groups.into_iter().filter(|_| bytes > 0.0) {
            *expected.entry(group.to_owned()).or_default() += share;
        }
    }
    let groups = |sums: &Sums| sums.keys().cloned().collect::<Vec<_>>();
    assert_eq!(groups(&answer), groups(&expected));
    for (group, expected) in expected {
        assert_close(answer[&group], expected);
    }
    assert_close(answer.values().sum(), site.total("split-ns"));
}

/// Thirds are no binary fractions.
fn assert_close(left: f64, right: f64) {
    assert!(
        (left - right).abs() <= right.abs() * 1e-12,
        "{left} is not {right}"
    );
}

/// [`MEMORY_OF_ALL_GROUPS`] without its last matcher.
fn memory_of_all_groups_and_multiple() -> String {
    let query = MEMORY_OF_ALL_GROUPS.replace(r#", usergroup!="multiple""#, "");
    assert_ne!(query, MEMORY_OF_ALL_GROUPS);
    query
}

fn a_group_called_quote_survives_prometheus() {
    const ODD: &[(&str, &[&str])] = &[
        ("ada", &["\"", "a\nb", "multiple"]),
        ("a\"b", &["\"", "none", "🚀"]),
        ("back\\slash", &["\\", "a\\nb", "é"]),
        ("zoë", &["e\u{301}", "a.b|c", "\\\"", "# EOF"]),
        ("用户", &["a}b{c=\"d\",", " ", "\"", "🚀", "a\rb\0c"]),
        ("dora", &[]),
    ];
    const ODD_SERVERS: &[Server] = &[
        server("ada", "", 1_000_001),
        server("a\"b", "", 20_000_002),
        server("back\\slash", "", 300_000_003),
        server("zoë", "", 4_000_000_004),
        server("用户", "", 50_000_000_005),
        server("dora", "", 600_006),
    ];
    let sim = SimServer::start(|world| {
        for (user, groups) in ODD {
            world.add_user(user);
            for group in *groups {
                world.add_group(group);
                assert!(world.add_member(group, user));
            }
        }
    });
    let service = Service::start(&sim.url, DEMO_TOKEN, &["--set", "metrics.namespace=odd-ns"]);
    let mut cluster = Cluster::new();
    cluster.add_hub("odd-ns", ODD_SERVERS, 1);
    let site = Site::start(
        cluster,
        vec![ScrapeJob::new("odd", format!("{}metrics", service.url))],
    );
    let people = ODD.iter().map(|(user, groups)| {
        // A real group has the name of the pseudo group.
        let groups = if groups.is_empty() {
            &["none_"]
        } else {
            *groups
        };
        (
            (*user).to_owned(),
            groups.iter().map(|&group| group.to_owned()).collect(),
        )
    });
    let people: People = people.collect();
    site.until_there_are_memberships("odd-ns", n_memberships(&people, Counting::InEach));

    let expected = sums(&people, ODD_SERVERS, 1, Counting::InEach);
    let groups: Vec<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(site.sums_of_selected_groups("odd-ns", &groups), expected);
    let query = memory_of_all_groups_and_multiple();
    assert_eq!(
        site.sums("odd-ns", &filled_in(&query, "odd-ns", &groups)),
        expected
    );
}
