//! The real binary as a process, and what a scraper sees of it.

use super::{Process, block_on, variable};
use reqwest::header::HeaderMap;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Services of tests that are not about the history keep none: by default it would be the
/// machine's own.
pub(crate) const NO_HISTORY: (&str, &str) = ("JUPYTERHUB_INSIGHTS__STORE__KEEP", "never");

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_jupyterhub-insights");

/// `serve` as an external service.
pub(crate) struct Service {
    pub(crate) process: Process,
    /// Ends in the prefix.
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl Service {
    /// Starts `serve` on its own port with these further arguments, and waits until it listens.
    pub(crate) fn start(hub_url: &str, token: &str, arguments: &[&str]) -> Self {
        Self::start_by(Command::new(BINARY), hub_url, token, arguments)
    }

    /// The same by a command that ends in the program.
    pub(crate) fn start_by(
        mut command: Command,
        hub_url: &str,
        token: &str,
        arguments: &[&str],
    ) -> Self {
        let port = super::free_port();
        let folder = tempfile::tempdir().unwrap();
        command
            .args([
                "serve",
                "--set",
                &format!("metrics.listen=127.0.0.1:{port}"),
            ])
            .args([
                "--set",
                &format!("hub.url={hub_url}"),
                "--set",
                "hub.interval_seconds=1",
            ])
            .args(arguments)
            .env_clear()
            .envs([NO_HISTORY])
            .envs(variable("PATH").map(|path| ("PATH", path)))
            .env("JUPYTERHUB_API_TOKEN", token);
        let process = Process::start(&mut command, &folder.path().join("service.log"));
        let url = format!("http://127.0.0.1:{port}/services/insights/");
        let mut service = Self {
            process,
            url,
            _folder: folder,
        };
        let started = Instant::now();
        while block_on(http().get(format!("{}health/ready", service.url)).send()).is_err() {
            let ended = service.process.has_ended();
            assert!(
                ended.is_none(),
                "the service ended:\n{}",
                service.process.output()
            );
            assert!(
                started.elapsed() < Duration::from_secs(90),
                "the service does not listen"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        service
    }

    /// Everything it serves to a scraper that sends no token.
    pub(crate) fn scrape(&self) -> Scrape {
        scrape(&format!("{}metrics", self.url), None)
    }

    /// Waits until a scrape satisfies the condition.
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Scrape) -> bool) -> Scrape {
        let outcome = until(what, || {
            Some(self.scrape()).filter(|scrape| condition(scrape))
        });
        outcome.unwrap_or_else(|| {
            let text = self.scrape().text;
            panic!("never saw: {what}\n{text}\n{}", self.process.output())
        })
    }
}

/// The name of this machine for hubs that tell hosts apart, and for browsers that trust 127.0.0.1 more
/// than others.
pub(crate) const HOST: &str = "hub.test";

/// The client of all tests; without proxies, so that nothing leaves the machine.
pub(crate) fn http() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        reqwest::Client::builder()
            .no_proxy()
            .resolve(HOST, (Ipv4Addr::LOCALHOST, 0).into())
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_mins(2))
            .pool_max_idle_per_host(0)
            .build()
            .unwrap()
    })
}

/// One scrape.
pub(crate) struct Scrape {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// Scrapes with a token or none.
pub(crate) fn scrape(url: &str, token: Option<&str>) -> Scrape {
    block_on(async {
        let mut request = http().get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        Scrape {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    })
}

impl Scrape {
    /// Samples of one family, as `labels -> value`, the labels as they are written.
    pub(crate) fn family(&self, name: &str) -> BTreeMap<String, String> {
        let samples = self.text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((labels.to_owned(), value.to_owned()))
        });
        samples.collect()
    }

    /// The sample whose labels contain all of these texts.
    pub(crate) fn value(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let family = self.family(name);
        let mut found = family
            .iter()
            .filter(|(key, _)| labels.iter().all(|l| key.contains(l)));
        let value = found.next()?.1.parse().unwrap();
        assert!(
            found.next().is_none(),
            "several samples of {name} have {labels:?}"
        );
        Some(value)
    }

    /// Rows of `user_group_info` as `user@group`, sorted.
    pub(crate) fn memberships(&self) -> Vec<String> {
        let label = |labels: &str, name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\"")).unwrap();
            let mut end = 0;
            while !rest[end..].starts_with('"') {
                end += if rest[end..].starts_with('\\') {
                    2
                } else {
                    rest[end..].chars().next().unwrap().len_utf8()
                };
            }
            rest[..end].to_owned()
        };
        let rows = self.family("jupyterhub_user_group_info");
        let mut rows: Vec<String> = rows
            .keys()
            .map(|labels| {
                format!(
                    "{}@{}",
                    label(labels, "username"),
                    label(labels, "usergroup")
                )
            })
            .collect();
        rows.sort();
        rows
    }
}

/// Tries for a minute, then gives up with `None`.
pub(crate) fn until<T>(what: &str, attempt: impl Fn() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(outcome) = attempt() {
            return Some(outcome);
        }
        if started.elapsed() > Duration::from_mins(1) {
            eprintln!("gave up waiting: {what}");
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
