//! What a service shows by user, by group and by server, under each rule for users of several
//! groups: each family of usage, sample by sample.

use super::expected::{Charged, Present, cpu_between, present, real};
use super::exporters::home_bytes;
use super::month::{INTERVAL, Month, NAMESPACE, NODE_OFFSETS, Person};
use super::present::{assert_close, nobodys_homes};
use super::{Kind, server, service, sim};
use crate::support::{Scrape, Service, SimServer, until};
use insights::poll::clock;
use model::slug;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Each sample's labels, as they are written, and its value.
type Samples = BTreeMap<String, f64>;
/// One of the numbers of what is used, if it is known.
type Amount = fn(&Present) -> Option<f64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    InEach,
    Split,
    Primary,
    Bucket,
}

/// With the rule `primary`.
const PRIORITY: [&str; 2] = ["group-07", "group-03"];

/// A service with a rule, what it has to show, and when it looked.
struct Ruled {
    rule: Rule,
    service: Service,
    month: Arc<Month>,
}

/// A scrape of what one look brought.
struct Seen {
    scrape: Scrape,
    /// The second that the look began in. All samples are of full seconds.
    at: i64,
}

/// A scrape, and of which look its age is.
struct Scraped {
    scrape: Scrape,
    /// Between which milliseconds that look began.
    look: Range<i64>,
    /// The millisecond in which the scrape was here.
    after: i64,
}

impl Scraped {
    fn is_of(&self, look: &Range<i64>) -> bool {
        self.look.start <= look.end && look.start <= self.look.end
    }
}

/// A service for each rule, all at once: for their counters there is a time to wait.
pub(super) fn totals_add_up(kind: Kind) {
    let (url, month) = server(kind);
    let sim = sim(&month);
    let rules = [Rule::InEach, Rule::Split, Rule::Primary, Rule::Bucket];
    let services = rules.map(|rule| Ruled::start(rule, &sim, &url, &month));
    let firsts = services.each_ref().map(|service| service.seen_after(0));
    for (service, first) in services.iter().zip(&firsts) {
        service.compare_rows(first);
        service.compare_totals(first);
        service.compare_servers(first);
        service.compare_unattributed(first);
    }
    for (service, first) in services.iter().zip(firsts) {
        service.compare_counters_from(first);
    }
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Self::InEach => "in-each",
            Self::Split => "split",
            Self::Primary => "primary",
            Self::Bucket => "bucket",
        }
    }

    fn adds_up(self) -> bool {
        self != Self::InEach
    }

    /// Two of them name people.
    fn names_people(self) -> bool {
        matches!(self, Self::InEach | Self::Split)
    }

    /// To which groups a person counts, and how much.
    fn shares(self, month: &Month, person: &Person) -> Vec<(String, f64)> {
        let mut groups: Vec<&String> = person
            .groups
            .iter()
            .map(|group| &month.groups[*group])
            .collect();
        groups.sort();
        let n_groups = f64::from(u32::try_from(groups.len()).unwrap());
        match (&*groups, self) {
            ([], _) => vec![("none".to_owned(), 1.0)],
            ([first, _, ..], Self::Primary) => {
                let mut priority = PRIORITY.iter();
                let preferred = priority.find(|group| groups.iter().any(|it| it == *group));
                let group = preferred.map_or_else(|| (*first).clone(), |group| (*group).to_owned());
                vec![(group, 1.0)]
            }
            ([_, _, ..], Self::Bucket) => vec![("multiple".to_owned(), 1.0)],
            (groups, rule) => {
                let share = if rule == Self::Split {
                    1.0 / n_groups
                } else {
                    1.0
                };
                groups
                    .iter()
                    .map(|group| ((*group).clone(), share))
                    .collect()
            }
        }
    }
}

/// What is shown by user and group, each by the number that it holds.
const BY_USER: [(&str, Amount); 7] = [
    ("memory_bytes", |used| Some(used.memory_bytes)),
    ("cpu_cores", |used| Some(used.cpu_cores)),
    ("cpu_seconds", |used| Some(used.cpu_cores)),
    ("memory_requests_bytes", |used| {
        Some(used.memory_requested_bytes)
    }),
    ("cpu_requested_cores", |used| Some(used.cpu_requested_cores)),
    ("cpu_requests_seconds", |used| {
        Some(used.cpu_requested_cores)
    }),
    ("gpus_requested", |used| Some(used.gpus_requested)),
];

/// Totals of groups.
const BY_GROUP: [(&str, Amount); 8] = [
    ("memory_bytes", |used| Some(used.memory_bytes)),
    ("cpu_cores", |used| Some(used.cpu_cores)),
    ("memory_requested_bytes", |used| {
        Some(used.memory_requested_bytes)
    }),
    ("cpu_requested_cores", |used| Some(used.cpu_requested_cores)),
    ("gpus_requested", |used| Some(used.gpus_requested)),
    ("gpus_used", |used| used.gpus_used),
    ("network_receive_bytes_per_second", |used| {
        Some(used.received_per_second)
    }),
    ("network_transmit_bytes_per_second", |used| {
        Some(used.sent_per_second)
    }),
];

/// What is shown by server.
const RESOURCES: [(&str, Amount); 6] = [
    ("memory_bytes", |used| Some(used.memory_bytes)),
    ("cpu_cores", |used| Some(used.cpu_cores)),
    ("memory_requested_bytes", |used| {
        Some(used.memory_requested_bytes)
    }),
    ("cpu_requested_cores", |used| Some(used.cpu_requested_cores)),
    ("gpus_requested", |used| Some(used.gpus_requested)),
    ("gpus_used", |used| used.gpus_used),
];

impl Ruled {
    fn start(rule: Rule, sim: &SimServer, url: &str, month: &Arc<Month>) -> Self {
        let sets = [
            format!("groups.multiple={}", rule.name()),
            format!("groups.priority={PRIORITY:?}"),
            format!("metrics.users={}", rule.names_people()),
            "metrics.exporter_names=true".to_owned(),
        ];
        Self {
            rule,
            service: service(sim, url, &sets),
            month: Arc::clone(month),
        }
    }

    /// A scrape of a look in or after this second, if it is known when that was.
    fn seen_after(&self, second: i64) -> Seen {
        let seen = until("usage", || {
            // What the age is of was shown before: the second of two scrapes has it for sure.
            let earlier = self.scrape()?;
            let scraped = self.scrape()?;
            let look = &scraped.look;
            let at = look.start.div_euclid(1000);
            // In the second of a scrape itself it hangs on milliseconds which sample is the last.
            let is_scraped = NODE_OFFSETS.contains(&at.rem_euclid(INTERVAL));
            let is_sure = at == look.end.div_euclid(1000) && !is_scraped;
            let has_homes = !scraped
                .scrape
                .family("jupyterhub_group_home_dir_bytes")
                .is_empty();
            let is_it = earlier.is_of(look) && is_sure && has_homes && at >= second;
            // And it has nothing of the next look if that began later.
            (is_it && self.next_look(look)? > scraped.after).then_some(())?;
            let scrape = scraped.scrape;
            Some(Seen { scrape, at })
        });
        seen.unwrap_or_else(|| panic!("{}", self.service.process.output()))
    }

    /// The first millisecond in which the look after this one can have begun.
    fn next_look(&self, look: &Range<i64>) -> Option<i64> {
        until("the next look", || {
            let next = self.scrape()?;
            (!next.is_of(look)).then_some(next.look.start)
        })
    }

    fn scrape(&self) -> Option<Scraped> {
        let before = clock::now().as_millisecond();
        let scrape = self.service.scrape();
        let after = clock::now().as_millisecond();
        let age = scrape.value("jupyterhub_insights_data_age_seconds", &["data=\"usage\""])?;
        #[expect(clippy::cast_possible_truncation, reason = "some seconds")]
        let age = (age * 1000.0).round() as i64;
        Some(Scraped {
            scrape,
            look: before - age - 2..after - age + 2,
            after,
        })
    }

    fn known(&self) -> impl Iterator<Item = (usize, &Person)> {
        let people = self.month.people.iter().enumerate();
        people.filter(|(_, person)| person.is_known)
    }

    /// Each row's user, group and share.
    fn rows(&self) -> impl Iterator<Item = (&Person, String, f64)> {
        self.known().flat_map(|(_, person)| {
            let shares = self.rule.shares(&self.month, person).into_iter();
            shares.map(move |(group, share)| (person, group, share))
        })
    }

    /// Names of all groups that are shown, also of those that nobody is in.
    fn groups(&self) -> BTreeSet<String> {
        let of_rows = self.rows().map(|(_, group, _)| group);
        of_rows.chain(self.month.groups.iter().cloned()).collect()
    }

    fn by_user(&self, at: i64) -> BTreeMap<String, Present> {
        let mut users: BTreeMap<String, Present> = BTreeMap::new();
        for (charged, used) in present(&self.month, at) {
            if let Charged::Account(user, _) = charged {
                users.entry(user).or_default().add(&used);
            }
        }
        users
    }

    fn compare_rows(&self, seen: &Seen) {
        let users = self.by_user(seen.at);
        for (name, amount) in BY_USER {
            let expected = self.rows().filter_map(|(person, group, share)| {
                let value = amount(users.get(&person.name)?)? * share;
                Some((row_labels(&person.name, &group), value))
            });
            let family = format!("jupyterhub_user_group_{name}");
            compare(
                &samples(&seen.scrape, &family),
                &expected.collect(),
                &family,
            );
        }
        let rows = samples(&seen.scrape, "jupyterhub_user_group_home_dir_bytes");
        let of_home = |at: i64| -> Samples {
            let sizes = self.known().flat_map(|(number, person)| {
                let size = real(home_bytes(number, at));
                let shares = self.rule.shares(&self.month, person).into_iter();
                shares.map(move |(group, share)| (row_labels(&person.name, &group), size * share))
            });
            sizes.collect()
        };
        compare_homes(&rows, seen.at, &of_home, "user_group_home_dir_bytes");
    }

    fn compare_totals(&self, seen: &Seen) {
        let users = self.by_user(seen.at);
        let groups = self.groups();
        for (name, amount) in BY_GROUP {
            // A group none of whose members' servers tells it has no total; one without servers 0.
            let mut sums: BTreeMap<String, Option<f64>> = BTreeMap::new();
            for (person, group, share) in self.rows() {
                if let Some(used) = users.get(&person.name) {
                    let sum = sums.entry(group).or_default();
                    if let Some(amount) = amount(used) {
                        *sum.get_or_insert(0.0) += amount * share;
                    }
                }
            }
            let expected = groups.iter().filter_map(|group| {
                let sum = sums.get(group).copied().unwrap_or(Some(0.0))?;
                Some((group_labels(group), sum))
            });
            let family = format!("jupyterhub_group_{name}");
            let seen = samples(&seen.scrape, &family);
            compare(&seen, &expected.collect(), &family);
            let all: f64 = users.values().filter_map(amount).sum();
            let sum: f64 = seen.values().sum();
            if self.rule.adds_up() {
                assert_close(sum, all, &family);
            } else {
                assert!(sum > all, "{family}: {sum} {all}");
            }
        }
        let rows = samples(&seen.scrape, "jupyterhub_group_home_dir_bytes");
        let of_home = |at: i64| -> Samples {
            let zero = groups.iter().map(|group| (group_labels(group), 0.0));
            let mut sums: Samples = zero.collect();
            for (number, person) in self.known() {
                for (group, share) in self.rule.shares(&self.month, person) {
                    let sum = sums.get_mut(&group_labels(&group)).unwrap();
                    *sum += real(home_bytes(number, at)) * share;
                }
            }
            sums
        };
        compare_homes(&rows, seen.at, &of_home, "group_home_dir_bytes");
    }

    fn compare_servers(&self, seen: &Seen) {
        let mut servers: BTreeMap<(String, String), Present> = BTreeMap::new();
        for (charged, used) in present(&self.month, seen.at) {
            let Charged::Account(user, server) = charged else {
                continue;
            };
            // Workers are no server; a user's default one has no name either.
            let key = if self.rule.names_people() {
                (user, server.unwrap_or_default())
            } else {
                ("anonymous".to_owned(), String::new())
            };
            servers.entry(key).or_default().add(&used);
        }
        let mut expected = Samples::new();
        for ((user, server), used) in &servers {
            for (resource, amount) in RESOURCES {
                let (user, server) = (escaped(user), escaped(server));
                let labels = format!(
                    "resource_type=\"{resource}\",username=\"{user}\",server_name=\"{server}\""
                );
                expected.extend(amount(used).map(|amount| (labels, amount)));
            }
        }
        let family = "jupyterhub_resource_usage";
        compare(&samples(&seen.scrape, family), &expected, family);
    }

    fn compare_unattributed(&self, seen: &Seen) {
        let (mut cores, mut bytes) = (Samples::new(), Samples::new());
        let labels = |reason: &str| format!("namespace=\"{NAMESPACE}\",reason=\"{reason}\"");
        for (charged, used) in present(&self.month, seen.at) {
            if let Charged::Nobody(reason) = charged {
                cores.insert(labels(reason), used.cpu_cores);
                bytes.insert(labels(reason), used.memory_bytes);
            }
        }
        assert_eq!(cores.len(), 2);
        for (name, expected) in [("cpu_cores", cores), ("memory_bytes", bytes)] {
            let family = format!("jupyterhub_insights_unattributed_{name}");
            compare(&samples(&seen.scrape, &family), &expected, &family);
        }
        let family = "jupyterhub_insights_unattributed_home_bytes";
        let of_home = |at| [(labels("unknown directory"), nobodys_homes(&self.month, at))].into();
        compare_homes(&samples(&seen.scrape, family), seen.at, &of_home, family);
    }

    /// From one look to a later one they grow by what the samples between say. In one of many runs on a
    /// busy machine a pair of looks at a VictoriaMetrics held a sample more than their times say, and
    /// nobody knows why; what holds for none of three pairs is wrong.
    fn compare_counters_from(&self, first: Seen) {
        let mut first = first;
        let mut told = Vec::new();
        for _ in 0..3 {
            // No two scrapes of kubelets are further apart.
            let second = self.seen_after(first.at + 17);
            match self.compare_counters(&first, &second) {
                Ok(()) => return,
                Err(difference) => told.push(difference),
            }
            first = second;
        }
        panic!("{}", told.join("\n"));
    }

    fn compare_counters(&self, first: &Seen, second: &Seen) -> Result<(), String> {
        let used = cpu_between(&self.month, first.at, second.at);
        assert!(
            used.values().any(|used| *used > 0),
            "{}",
            second.at - first.at
        );
        let used_by = |person: &Person| {
            let used = used.get(&person.name)?;
            Some(real(*used) / 1000.0)
        };
        let rows = self.rows().filter_map(|(person, group, share)| {
            Some((row_labels(&person.name, &group), used_by(person)? * share))
        });
        println!(
            "{}: looks at {} and {}",
            self.rule.name(),
            first.at,
            second.at
        );
        let family = "jupyterhub_user_group_cpu_seconds_total";
        is_alike(&grown(first, second, family), &rows.collect(), family)?;
        let zero = self
            .groups()
            .into_iter()
            .map(|group| (group_labels(&group), 0.0));
        let mut totals: Samples = zero.collect();
        for (person, group, share) in self.rows() {
            let used = used_by(person).unwrap_or_default();
            *totals.get_mut(&group_labels(&group)).unwrap() += used * share;
        }
        let family = "jupyterhub_group_cpu_seconds_total";
        is_alike(&grown(first, second, family), &totals, family)
    }
}

fn samples(scrape: &Scrape, family: &str) -> Samples {
    let samples = scrape.family(family).into_iter();
    samples
        .map(|(labels, value)| (labels, value.parse().unwrap()))
        .collect()
}

/// By how much the samples of a counter have grown.
fn grown(first: &Seen, second: &Seen, family: &str) -> Samples {
    let before = samples(&first.scrape, family);
    let after = samples(&second.scrape, family);
    assert!(before.keys().eq(after.keys()), "{family}");
    let after = after.into_iter();
    after
        .map(|(labels, value)| {
            let grown = value - before[&labels];
            (labels, grown)
        })
        .collect()
}

#[track_caller]
fn compare(seen: &Samples, expected: &Samples, family: &str) {
    if let Err(difference) = is_alike(seen, expected, family) {
        panic!("{difference}");
    }
}

/// Whether the same samples are there, with the same values; else those that differ.
fn is_alike(seen: &Samples, expected: &Samples, family: &str) -> Result<(), String> {
    if !seen.keys().eq(expected.keys()) {
        return Err(format!("{family} {seen:#?}\n{expected:#?}"));
    }
    let is_close = |(labels, expected): &(&String, &f64)| {
        (seen[*labels] - **expected).abs() <= expected.abs() * 1e-9
    };
    let others = expected.iter().filter(|expected| !is_close(expected));
    let others: Vec<String> = others
        .map(|(labels, expected)| format!("{{{labels}}} {}, expected {expected}", seen[labels]))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(format!("{family}\n{}", others.join("\n")))
}

/// Homes grow at the full hour, which may lie between the look at them and this one.
#[track_caller]
fn compare_homes(seen: &Samples, at: i64, of_home: &dyn Fn(i64) -> Samples, family: &str) {
    let is_close = |left: f64, right: f64| (left - right).abs() <= right.abs() * 1e-9;
    let is_it = |expected: &Samples| {
        let pairs = expected.values().zip(seen.values());
        seen.keys().eq(expected.keys()) && pairs.into_iter().all(|(it, seen)| is_close(*seen, *it))
    };
    let candidates = [at, at - 600].map(of_home);
    assert!(
        candidates.iter().any(is_it),
        "{family} {seen:#?}\n{candidates:#?}"
    );
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"")
}

fn row_labels(user: &str, group: &str) -> String {
    format!(
        "namespace=\"{NAMESPACE}\",usergroup=\"{}\",username=\"{}\",username_escaped=\"{}\",\
         username_safe=\"{}\"",
        escaped(group),
        escaped(user),
        slug::escaped(user),
        slug::safe(user),
    )
}

fn group_labels(group: &str) -> String {
    format!("namespace=\"{NAMESPACE}\",usergroup=\"{}\"", escaped(group))
}
