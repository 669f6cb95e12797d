//! A real Prometheus, and exporters that serve a text which a test wrote.

use super::{Process, block_on, free_port, http, tools, until};
use axum::Router;
use axum::http::header;
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// What Prometheus scrapes, every second.
pub(crate) struct ScrapeJob {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) token: Option<&'static str>,
}

impl ScrapeJob {
    pub(crate) fn new(name: &'static str, url: String) -> Self {
        Self {
            name,
            url,
            token: None,
        }
    }

    fn config(&self) -> Value {
        let url = url::Url::parse(&self.url).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let mut config = json!({
            "job_name": self.name,
            "metrics_path": url.path(),
            "static_configs": [{"targets": [target]}],
        });
        if let Some(token) = self.token {
            config["authorization"] = json!({"credentials": token});
        }
        config
    }
}

/// A Prometheus with an empty database.
pub(crate) struct Prometheus {
    process: Process,
    /// Ends in a slash.
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

/// One series of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Prometheus {
    /// Starts it and waits until it answers. The first scrape is 5 s later: it looks for targets
    /// that often, and no flag changes that.
    pub(crate) fn start(jobs: &[ScrapeJob]) -> Self {
        Self::start_in(new_folder(), jobs)
    }

    /// The same with a past: files in OpenMetrics' format, each of which becomes a block.
    pub(crate) fn start_with_past(files: &[PathBuf]) -> Self {
        let folder = new_folder();
        for file in files {
            let output = Command::new(tools().join("prometheus/usr/bin/promtool"))
                // The longest block that its database makes, so that a file is read once.
                .args(["tsdb", "create-blocks-from", "--max-block-duration=162h"])
                .args(["--quiet", "openmetrics"])
                .arg(file)
                .arg(folder.path().join("data"))
                .current_dir(folder.path())
                .env_clear()
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {errors}", file.display());
        }
        Self::start_in(folder, &[])
    }

    fn start_in(folder: tempfile::TempDir, jobs: &[ScrapeJob]) -> Self {
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": jobs.iter().map(ScrapeJob::config).collect::<Vec<_>>(),
        });
        let file = folder.path().join("prometheus.yml");
        // YAML reads JSON.
        std::fs::write(&file, config.to_string()).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(tools().join("prometheus/usr/bin/prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            // What is older goes at the start.
            .arg("--storage.tsdb.retention.time=1y")
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .current_dir(folder.path())
            .env_clear();
        let process = Process::start(&mut command, &folder.path().join("prometheus.log"));
        let prometheus = Self {
            process,
            url: format!("http://{address}/"),
            _folder: folder,
        };
        let ready = format!("{}-/ready", prometheus.url);
        let answer = until("Prometheus to be ready", || {
            let response = block_on(http().get(&ready).send()).ok()?;
            response.status().is_success().then_some(())
        });
        answer.unwrap_or_else(|| panic!("no Prometheus:\n{}", prometheus.process.output()));
        prometheus
    }

    /// The answer to a query, or Prometheus' own words about what is wrong with it.
    pub(crate) fn query(&self, promql: &str) -> Result<Vec<Series>, String> {
        let request = http()
            .get(format!("{}api/v1/query", self.url))
            .query(&[("query", promql)]);
        let reply: Value = block_on(async { request.send().await.unwrap().json().await.unwrap() });
        if let Some(error) = reply["error"].as_str() {
            return Err(error.to_owned());
        }
        let series = reply["data"]["result"].as_array().unwrap().iter();
        Ok(series.map(Series::of).collect())
    }

    /// Waits until so many series answer a query.
    pub(crate) fn until_there_are(&self, n_series: usize, promql: &str) -> Vec<Series> {
        let what = format!("{n_series} series of {promql}");
        let answer = until(&what, || {
            self.query(promql)
                .ok()
                .filter(|series| series.len() == n_series)
        });
        answer.unwrap_or_else(|| {
            let last = self.query(promql);
            let targets = self.targets();
            panic!(
                "never saw {what} but {last:?}\n{targets}\n{}",
                self.process.output()
            )
        })
    }

    /// What it thinks of the scrapes, as JSON.
    pub(crate) fn targets(&self) -> Value {
        let request = http().get(format!("{}api/v1/targets", self.url));
        block_on(async { request.send().await.unwrap().json().await.unwrap() })
    }
}

fn new_folder() -> tempfile::TempDir {
    let mut folder = tempfile::Builder::new();
    folder.prefix("prometheus-").tempdir().unwrap()
}

impl Series {
    fn of(result: &Value) -> Self {
        let labels = result["metric"].as_object().unwrap().iter();
        Self {
            labels: labels
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            value: result["value"][1].as_str().unwrap().parse().unwrap(),
        }
    }

    /// Empty where the series has no such label, as in Prometheus.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// An exporter whose text never changes.
pub(crate) struct StaticExporter {
    pub(crate) url: String,
    task: tokio::task::JoinHandle<()>,
}

impl StaticExporter {
    pub(crate) fn start(text: String) -> Self {
        let content_type = [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )];
        let router =
            Router::new().route("/metrics", get(move || async move { (content_type, text) }));
        let (url, task) = block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/metrics", listener.local_addr().unwrap());
            let serve = async move { axum::serve(listener, router).await.unwrap() };
            (url, tokio::spawn(serve))
        });
        Self { url, task }
    }
}

impl Drop for StaticExporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}
