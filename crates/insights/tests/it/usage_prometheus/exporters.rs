//! What exporters say of the made-up month, with the labels that a kubelet with containerd,
//! kube-state-metrics 2, NVIDIA's DCGM exporter, prometheus-dirsize-exporter and the hub give.
//!
//! Written once, as OpenMetrics with times, in files that each hold as much time as the longest block
//! of Prometheus' database: it reads a file once for each block.

use super::month::{
    Container, DAY, INTERVAL, Month, NAMESPACE, NODE_OFFSETS, OTHER_NAMESPACE, Pod, Role,
    SANDBOX_BYTES, ZONE_OFFSET, times,
};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// The longest block of Prometheus' database.
const BLOCK: i64 = 162 * 3600;
/// When the exporters other than kubelets are scraped, in seconds after the full minute.
pub(crate) const KUBE_STATE_METRICS_OFFSET: i64 = 27;
pub(crate) const DCGM_OFFSET: i64 = 5;
pub(crate) const HUB_OFFSET: i64 = 33;
const DIRSIZE_OFFSET: i64 = 51;
/// Sizes are known at the ends of days and now; whole days of them would be most of the data.
const DIRSIZE_BEFORE: i64 = 9 * 60;

/// Files of samples.
pub(crate) struct Samples {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) n_samples: usize,
}

impl Samples {
    /// Writes all samples of the month into the folder.
    pub(crate) fn write(month: &Month, folder: &Path) -> Self {
        let mut lines = Lines::new(folder);
        for pod in &month.pods {
            lines.cadvisor(month, pod, "cadvisor", month.start);
            if pod.to > month.second_job_from {
                lines.cadvisor(month, pod, "kubelet", month.second_job_from);
            }
            lines.kube_state_metrics(month, pod);
            lines.dcgm(pod);
        }
        lines.nodes(month);
        lines.hubs(month);
        lines.homes(month);
        lines.finish()
    }
}

struct Lines<'a> {
    folder: &'a Path,
    /// By number of the block.
    files: Vec<(i64, BufWriter<File>)>,
    n_samples: usize,
    text: String,
}

impl<'a> Lines<'a> {
    fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            files: Vec::new(),
            n_samples: 0,
            text: String::new(),
        }
    }

    /// One series: its name, its labels, and a value at each time.
    fn series(
        &mut self,
        name: &str,
        labels: &Labels,
        times: impl Iterator<Item = i64>,
        value: impl Fn(i64) -> Value,
    ) {
        let head = format!("{name}{{{}}} ", labels.0);
        for at in times {
            self.text.clear();
            self.text.push_str(&head);
            let _ = match value(at) {
                Value::Whole(value) => writeln!(self.text, "{value} {at}"),
                Value::Thousandths(value) => {
                    writeln!(self.text, "{}.{:03} {at}", value / 1000, value % 1000)
                }
                Value::NotANumber => writeln!(self.text, "NaN {at}"),
            };
            let block = at.div_euclid(BLOCK);
            let file = self.files.iter().position(|(known, _)| *known == block);
            let file = file.unwrap_or_else(|| {
                let file = File::create(self.folder.join(format!("{block}.txt"))).unwrap();
                self.files
                    .push((block, BufWriter::with_capacity(1 << 20, file)));
                self.files.len() - 1
            });
            self.files[file].1.write_all(self.text.as_bytes()).unwrap();
            self.n_samples += 1;
        }
    }

    fn finish(self) -> Samples {
        let mut files: Vec<PathBuf> = Vec::new();
        for (block, mut file) in self.files {
            file.write_all(b"# EOF\n").unwrap();
            file.flush().unwrap();
            files.push(self.folder.join(format!("{block}.txt")));
        }
        files.sort();
        Samples {
            files,
            n_samples: self.n_samples,
        }
    }

    fn cadvisor(&mut self, month: &Month, pod: &Pod, job: &str, since: i64) {
        let offset = NODE_OFFSETS[pod.node];
        let node = format!("node-{}", pod.node);
        let id = format!("/kubepods/burstable/pod{}", pod.uid);
        let end = pod.to.min(month.end);
        let of_pod = Labels::new(&[
            ("instance", &node),
            ("job", job),
            ("namespace", pod.namespace),
            ("node", &node),
            ("pod", &pod.name),
        ]);
        let begin = pod.containers[0].from;
        for container in &pod.containers {
            let labels = of_pod.with(&[
                ("container", "notebook"),
                ("id", &format!("{id}/{}", container.id)),
                ("image", "quay.io/jupyter/base-notebook:2026-11-02"),
                ("name", &container.id),
            ]);
            let times = times(container.from.max(since), container.to.min(end), offset);
            self.container(&labels, times, pod, container);
        }
        let all = times(begin.max(since), end, offset);
        let sandbox = of_pod.with(&[
            ("id", &format!("{id}/{}", pod.uid)),
            ("image", "registry.k8s.io/pause:3.9"),
            ("name", &pod.uid),
        ]);
        let started = "container_start_time_seconds";
        self.series(started, &sandbox, all.clone(), |_| Value::Whole(pod.from));
        let memory = "container_memory_working_set_bytes";
        self.series(memory, &sandbox, all.clone(), |_| {
            Value::Whole(SANDBOX_BYTES)
        });
        let cpu = "container_cpu_usage_seconds_total";
        self.series(cpu, &sandbox, all.clone(), |at| {
            Value::Thousandths(pod.sandbox_cpu(at))
        });
        // The sum of both, which has neither name nor image.
        let both = of_pod.with(&[("id", &id)]);
        self.series(memory, &both, all.clone(), |at| {
            Value::Whole(pod.memory(at) + SANDBOX_BYTES)
        });
        self.series(cpu, &both, all.clone(), |at| {
            Value::Thousandths(pod.cpu(&pod.containers[0], at) + pod.sandbox_cpu(at))
        });
        let network = both.with(&[("interface", "eth0")]);
        let received = "container_network_receive_bytes_total";
        self.series(received, &network, all.clone(), |at| {
            Value::Whole(pod.received(at))
        });
        let sent = "container_network_transmit_bytes_total";
        self.series(sent, &network, all.clone(), |at| Value::Whole(pod.sent(at)));
        if pod.from % 20 == 0 {
            let loopback = both.with(&[("interface", "lo")]);
            self.series(received, &loopback, all, |at| Value::Whole(at - pod.from));
        }
    }

    fn container(
        &mut self,
        labels: &Labels,
        times: impl Iterator<Item = i64> + Clone,
        pod: &Pod,
        container: &Container,
    ) {
        let memory = "container_memory_working_set_bytes";
        self.series(memory, labels, times.clone(), |at| {
            let is_number = pod
                .not_a_number
                .is_none_or(|bad| at.div_euclid(INTERVAL) != bad.div_euclid(INTERVAL));
            if is_number {
                Value::Whole(pod.memory(at))
            } else {
                Value::NotANumber
            }
        });
        let cpu = "container_cpu_usage_seconds_total";
        self.series(cpu, labels, times.clone(), |at| {
            Value::Thousandths(pod.cpu(container, at))
        });
        let started = "container_start_time_seconds";
        self.series(started, labels, times, |_| Value::Whole(container.from));
    }

    fn kube_state_metrics(&mut self, month: &Month, pod: &Pod) {
        let end = pod.to.min(month.end);
        let moved = month.exporter_moved;
        for (instance, from, to) in [
            ("10.0.0.7:8080", pod.from, end.min(moved)),
            ("10.0.9.1:8080", pod.from.max(moved), end),
        ] {
            let times = times(from, to, KUBE_STATE_METRICS_OFFSET);
            let labels = Labels::new(&[
                ("instance", instance),
                ("job", "kube-state-metrics"),
                ("namespace", pod.namespace),
                ("pod", &pod.name),
                ("uid", &pod.uid),
            ]);
            self.pod_states(month, pod, &labels, &times);
        }
    }

    fn pod_states(
        &mut self,
        month: &Month,
        pod: &Pod,
        labels: &Labels,
        times: &(impl Iterator<Item = i64> + Clone),
    ) {
        let one = |_| Value::Whole(1);
        let mut annotations = labels.clone();
        if let Some(user) = pod.user {
            let name = &month.people[user].name;
            annotations = annotations.with(&[("annotation_hub_jupyter_org_username", name)]);
        }
        if let Some(server) = &pod.server {
            annotations = annotations.with(&[("annotation_hub_jupyter_org_servername", server)]);
        }
        self.series("kube_pod_annotations", &annotations, times.clone(), one);
        let component = match pod.role {
            Role::Server => ("label_component", "singleuser-server"),
            Role::DaskWorker => ("label_app_kubernetes_io_component", "dask-worker"),
            Role::Hub => ("label_component", "hub"),
        };
        let components = labels.with(&[component]);
        self.series("kube_pod_labels", &components, times.clone(), one);
        if pod.tells_created {
            let created = |_| Value::Whole(pod.from);
            self.series("kube_pod_created", labels, times.clone(), created);
        }
        let runs_from = pod.containers[0].from;
        for (phase, is_running) in [("Pending", false), ("Running", true)] {
            let phase = labels.with(&[("phase", phase)]);
            self.series("kube_pod_status_phase", &phase, times.clone(), |at| {
                Value::Whole(i64::from((at >= runs_from) == is_running))
            });
        }
        let node = format!("node-{}", pod.node);
        let requests = labels.with(&[("container", "notebook"), ("node", &node)]);
        let mut request = |resource: &str, unit: &str, value: Value| {
            let requests = requests.with(&[("resource", resource), ("unit", unit)]);
            let name = "kube_pod_container_resource_requests";
            self.series(name, &requests, times.clone(), |_| value);
        };
        request("cpu", "core", Value::Thousandths(pod.requested_millicores));
        request("memory", "byte", Value::Whole(pod.requested_bytes));
        if pod.gpu.is_some() {
            request("nvidia_com_gpu", "integer", Value::Whole(1));
        }
    }

    fn dcgm(&mut self, pod: &Pod) {
        let Some(gpu) = pod.gpu else { return };
        let node = format!("node-{}", pod.node);
        let labels = Labels::new(&[
            ("Hostname", &node),
            ("UUID", &format!("GPU-{}-{gpu}", pod.node)),
            ("container", "dcgm-exporter"),
            ("exported_container", "notebook"),
            ("exported_namespace", pod.namespace),
            ("exported_pod", &pod.name),
            ("gpu", &gpu.to_string()),
            ("instance", &format!("10.0.1.{}:9400", pod.node)),
            ("job", "dcgm-exporter"),
            ("modelName", "Tesla T4"),
            ("namespace", "gpu-operator"),
            ("pod", &format!("dcgm-exporter-{}", pod.node)),
        ]);
        let times = times(pod.containers[0].from, pod.to, DCGM_OFFSET);
        self.series("DCGM_FI_DEV_GPU_UTIL", &labels, times, |at| {
            Value::Whole(Pod::gpu_utilisation(at))
        });
    }

    /// As they are now; a month of it would say the same.
    fn nodes(&mut self, month: &Month) {
        for number in 0..NODE_OFFSETS.len() {
            let node = format!("node-{number}");
            let labels = Labels::new(&[
                ("instance", "10.0.9.1:8080"),
                ("job", "kube-state-metrics"),
                ("node", &node),
            ]);
            let times = times(month.now - 3600, month.end, KUBE_STATE_METRICS_OFFSET);
            let pool = labels.with(&[("label_hub_jupyter_org_node_purpose", "user")]);
            self.series("kube_node_labels", &pool, times.clone(), |_| {
                Value::Whole(1)
            });
            for metric in ["kube_node_status_capacity", "kube_node_status_allocatable"] {
                let cpu = labels.with(&[("resource", "cpu"), ("unit", "core")]);
                self.series(metric, &cpu, times.clone(), |_| Value::Whole(16));
                let memory = labels.with(&[("resource", "memory"), ("unit", "byte")]);
                self.series(metric, &memory, times.clone(), |_| Value::Whole(64 << 30));
            }
            let ready = labels.with(&[("condition", "Ready"), ("status", "true")]);
            self.series("kube_node_status_condition", &ready, times.clone(), |_| {
                Value::Whole(1)
            });
            let metric = "kube_node_spec_unschedulable";
            self.series(metric, &labels, times, |_| Value::Whole(0));
        }
    }

    fn hubs(&mut self, month: &Month) {
        for (namespace, more, from) in [
            (NAMESPACE, 0, month.start),
            (OTHER_NAMESPACE, 1000, month.now - 5 * DAY),
        ] {
            let labels = Labels::new(&[
                ("instance", "10.0.3.3:8081"),
                ("job", "kubernetes-service-endpoints"),
                ("namespace", namespace),
                ("service", "hub"),
            ]);
            let times = times(from, month.end, HUB_OFFSET);
            self.series("jupyterhub_running_servers", &labels, times.clone(), |at| {
                Value::Whole(running_servers(at) + more)
            });
            self.series("jupyterhub_total_users", &labels, times.clone(), |at| {
                Value::Whole(total_users(at) + more)
            });
            for (number, period) in ["24h", "7d", "30d"].into_iter().enumerate() {
                let labels = labels.with(&[("period", period)]);
                self.series("jupyterhub_active_users", &labels, times.clone(), |at| {
                    Value::Whole(active_users(number, at) + more)
                });
            }
        }
    }

    fn homes(&mut self, month: &Month) {
        let mut spans: Vec<(i64, i64)> = Vec::new();
        let mut day = (month.start + ZONE_OFFSET).div_euclid(DAY) + 1;
        while day * DAY - ZONE_OFFSET < month.now {
            let midnight = day * DAY - ZONE_OFFSET;
            spans.push((midnight - DIRSIZE_BEFORE, midnight));
            day += 1;
        }
        // The last midnight may be just now.
        let last = spans.last().map_or(month.start, |span| span.1);
        spans.push(((month.now - DIRSIZE_BEFORE).max(last), month.end));
        let people = month.people.iter().enumerate();
        let mut directories: Vec<(usize, &str)> = people
            .map(|(number, person)| (number, &*person.directory))
            .collect();
        directories.push((month.people.len(), "shared-data"));
        for (namespace, more) in [(NAMESPACE, 0), (OTHER_NAMESPACE, 77)] {
            for (number, directory) in &directories {
                let labels = Labels::new(&[
                    ("directory", directory),
                    ("instance", "10.0.4.4:8000"),
                    ("job", "kubernetes-pods"),
                    ("namespace", namespace),
                ]);
                if more > 0 && *number > 50 {
                    continue;
                }
                let all = spans
                    .iter()
                    .flat_map(|(from, to)| times(*from, *to, DIRSIZE_OFFSET));
                self.series("dirsize_total_size_bytes", &labels, all.clone(), |at| {
                    Value::Whole(home_bytes(*number, at) + more)
                });
                if *number < 100 {
                    self.series("dirsize_entries_count", &labels, all, |at| {
                        Value::Whole(home_files(*number, at) + more)
                    });
                }
            }
        }
    }
}

pub(crate) fn running_servers(at: i64) -> i64 {
    at.div_euclid(600) % 50
}

pub(crate) fn total_users(at: i64) -> i64 {
    500 + at.div_euclid(DAY) % 7
}

pub(crate) fn active_users(number: usize, at: i64) -> i64 {
    at.div_euclid(3600) % 100 + 100 * i64::try_from(number).unwrap()
}

/// Bytes of the home of the person with this number.
pub(crate) fn home_bytes(number: usize, at: i64) -> i64 {
    (i64::try_from(number).unwrap() + 1) * 1_000_003 + at.div_euclid(3600) % 1000 * 4096
}

pub(crate) fn home_files(number: usize, at: i64) -> i64 {
    10 * i64::try_from(number).unwrap() + at.div_euclid(3600) % 100
}

#[derive(Clone, Copy)]
enum Value {
    Whole(i64),
    Thousandths(i64),
    NotANumber,
}

/// As they are written between braces.
#[derive(Clone)]
struct Labels(String);

impl Labels {
    fn new(labels: &[(&str, &str)]) -> Self {
        Self(String::new()).with(labels)
    }

    fn with(&self, more: &[(&str, &str)]) -> Self {
        let mut text = self.0.clone();
        for (name, value) in more {
            let value = value
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            let comma = if text.is_empty() { "" } else { "," };
            let _ = write!(text, "{comma}{name}=\"{value}\"");
        }
        Self(text)
    }
}
