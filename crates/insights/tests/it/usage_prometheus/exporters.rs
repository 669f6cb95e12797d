//! What exporters say of the made-up month, with the labels that a kubelet with containerd,
//! kube-state-metrics 2, NVIDIA's DCGM exporter, prometheus-dirsize-exporter and the hub give.
//!
//! Written once, as OpenMetrics with times, in files that each hold as much time as the longest block
//! of Prometheus' database: it reads a file once for each block.

use super::month::{
    Container, DAY, HOUR, INTERVAL, Month, NAMESPACE, NODE_OFFSETS, NODES, Node, OTHER_NAMESPACE,
    Pod, RESERVED_BYTES, RESERVED_MILLICORES, Role, SANDBOX_BYTES, ZONE_OFFSET, node_bytes,
    node_bytes_used, node_cores, node_millicores_used, times,
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
pub(crate) const DIRSIZE_OFFSET: i64 = 51;
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
        let end = pod.runs_until().min(month.end);
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
        self.series(started, &sandbox, all.clone(), |_| {
            Value::Whole(pod.placed.unwrap_or(pod.from))
        });
        let memory = "container_memory_working_set_bytes";
        self.series(memory, &sandbox, all.clone(), |_| {
            Value::Whole(SANDBOX_BYTES)
        });
        let cpu = "container_cpu_usage_seconds_total";
        let total = [("cpu", "total")];
        self.series(cpu, &sandbox.with(&total), all.clone(), |at| {
            Value::Thousandths(pod.sandbox_cpu(at))
        });
        // The sum of both, which has neither name nor image.
        let both = of_pod.with(&[("id", &id)]);
        self.series(memory, &both, all.clone(), |at| {
            Value::Whole(pod.memory(at) + SANDBOX_BYTES)
        });
        self.series(cpu, &both.with(&total), all.clone(), |at| {
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
            self.series(received, &loopback, all, |at| {
                Value::Whole(90_000 * (at - pod.from))
            });
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
        let total = labels.with(&[("cpu", "total")]);
        self.series(cpu, &total, times.clone(), |at| {
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
            Role::Placeholder => ("label_component", "user-placeholder"),
        };
        let components = labels.with(&[component]);
        self.series("kube_pod_labels", &components, times.clone(), one);
        if pod.tells_created {
            let created = |_| Value::Whole(pod.from);
            self.series("kube_pod_created", labels, times.clone(), created);
        }
        self.phases(month, pod, labels, times);
        let placed = pod.placed.unwrap_or(i64::MAX);
        let container = labels.with(&[("container", "notebook")]);
        // Without a label of the node as long as there is none.
        self.requests(pod, &container, &times.clone().filter(|at| *at < placed));
        let on_node = container.with(&[("node", &format!("node-{}", pod.node))]);
        self.requests(pod, &on_node, &times.clone().filter(|at| placed <= *at));
    }

    fn requests(
        &mut self,
        pod: &Pod,
        labels: &Labels,
        times: &(impl Iterator<Item = i64> + Clone),
    ) {
        let mut request = |resource: &str, unit: &str, value: Value| {
            let requests = labels.with(&[("resource", resource), ("unit", unit)]);
            let name = "kube_pod_container_resource_requests";
            self.series(name, &requests, times.clone(), |_| value);
        };
        request("cpu", "core", Value::Thousandths(pod.requested_millicores));
        request("memory", "byte", Value::Whole(pod.requested_bytes));
        if pod.gpu.is_some() {
            request("nvidia_com_gpu", "integer", Value::Whole(1));
        }
    }

    /// What becomes of a pod. Of those for which all went well it is told in less detail than
    /// kube-state-metrics does, but for those of now: it would be a third of all samples.
    fn phases(
        &mut self,
        month: &Month,
        pod: &Pod,
        labels: &Labels,
        times: &(impl Iterator<Item = i64> + Clone),
    ) {
        let flag = |is_so: bool| Value::Whole(i64::from(is_so));
        let has_failed = |at: i64| pod.failed.is_some_and(|failed| failed <= at);
        let has_begun = |at: i64| pod.containers[0].from <= at;
        let is_running = |at: i64| has_begun(at) && !has_failed(at);
        let name = "kube_pod_status_phase";
        let phase = |phase: &str| labels.with(&[("phase", phase)]);
        let times = || times.clone();
        self.series(name, &phase("Pending"), times(), |at| flag(!has_begun(at)));
        self.series(name, &phase("Running"), times(), |at| flag(is_running(at)));
        let is_odd = pod.failed.is_some() || pod.placed != Some(pod.from);
        if !is_odd && pod.to < month.now {
            return;
        }
        self.series(name, &phase("Failed"), times(), |at| flag(has_failed(at)));
        for other in ["Succeeded", "Unknown"] {
            self.series(name, &phase(other), times(), |_| flag(false));
        }
        let is_placed = |at: i64| pod.placed.is_some_and(|placed| placed <= at);
        for condition in ["true", "false", "unknown"] {
            let labels = labels.with(&[("condition", condition)]);
            self.series("kube_pod_status_scheduled", &labels, times(), |at| {
                flag(condition == if is_placed(at) { "true" } else { "false" })
            });
        }
        let waits = times().filter(|at| !is_placed(*at));
        self.series("kube_pod_status_unschedulable", labels, waits, |_| {
            flag(true)
        });
        let placed = times().filter(|at| is_placed(*at));
        self.series("kube_pod_start_time", labels, placed, |_| {
            Value::Whole(pod.placed.unwrap_or(pod.from))
        });
        let ended = |why| labels.with(&[("container", "notebook"), ("reason", why)]);
        let why = ended(if pod.is_oom_killed {
            "OOMKilled"
        } else {
            "Error"
        });
        let failed = times().filter(|at| has_failed(*at));
        let name = "kube_pod_container_status_terminated_reason";
        self.series(name, &why, failed, |_| flag(true));
        let is_again = |at: i64| pod.containers.len() > 1 && pod.containers[1].from <= at;
        let again = times().filter(|at| is_again(*at));
        let name = "kube_pod_container_status_last_terminated_reason";
        self.series(name, &why, again, |_| flag(true));
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
        let times = times(pod.containers[0].from, pod.runs_until(), DCGM_OFFSET);
        self.series("DCGM_FI_DEV_GPU_UTIL", &labels, times, |at| {
            Value::Whole(pod.gpu_utilisation(at))
        });
    }

    /// As they are now; a month of it would say the same.
    fn nodes(&mut self, month: &Month) {
        for (number, node) in (0..).zip(&NODES) {
            self.node_states(month, number, node);
            if node.is_ready {
                self.machine(month, number);
            }
        }
    }

    fn node_states(&mut self, month: &Month, number: i64, node: &Node) {
        let labels = Labels::new(&[
            ("instance", "10.0.9.1:8080"),
            ("job", "kube-state-metrics"),
            ("node", &format!("node-{number}")),
        ]);
        let times = || times(month.now - HOUR, month.end, KUBE_STATE_METRICS_OFFSET);
        let flag = |is_so: bool| Value::Whole(i64::from(is_so));
        self.series(
            "kube_node_labels",
            &labels.with(node.labels),
            times(),
            |_| flag(true),
        );
        for (metric, millicores, bytes) in [
            ("kube_node_status_capacity", 0, 0),
            (
                "kube_node_status_allocatable",
                RESERVED_MILLICORES,
                RESERVED_BYTES,
            ),
        ] {
            let mut amount = |resource, unit, value| {
                let labels = labels.with(&[("resource", resource), ("unit", unit)]);
                self.series(metric, &labels, times(), |_| value);
            };
            let cores = Value::Thousandths(1000 * node_cores(number) - millicores);
            amount("cpu", "core", cores);
            amount("memory", "byte", Value::Whole(node_bytes(number) - bytes));
            amount("pods", "integer", Value::Whole(110));
            amount("ephemeral_storage", "byte", Value::Whole(1 << 37));
        }
        // A kubelet that does not answer is neither ready nor not.
        let ready = if node.is_ready { "true" } else { "unknown" };
        for (condition, so) in [("Ready", ready), ("MemoryPressure", "false")] {
            for status in ["true", "false", "unknown"] {
                let labels = labels.with(&[("condition", condition), ("status", status)]);
                self.series("kube_node_status_condition", &labels, times(), |_| {
                    flag(status == so)
                });
            }
        }
        let metric = "kube_node_spec_unschedulable";
        self.series(metric, &labels, times(), |_| flag(node.is_cordoned));
    }

    /// The machine as a whole and a part of it, by two jobs that name it in their own ways.
    fn machine(&mut self, month: &Month, number: i64) {
        let node = format!("node-{number}");
        let by_hostname = Labels::new(&[
            ("beta_kubernetes_io_os", "linux"),
            ("instance", &node),
            ("job", "cadvisor"),
            ("kubernetes_io_hostname", &node),
        ]);
        let by_address = Labels::new(&[
            ("endpoint", "https-metrics"),
            ("instance", &format!("10.0.1.{number}:10250")),
            ("job", "kubelet"),
            ("metrics_path", "/metrics/cadvisor"),
            ("namespace", "kube-system"),
            ("node", &node),
            ("service", "kubelet"),
        ]);
        let from = month.now - HOUR;
        for labels in [by_hostname, by_address] {
            for (id, share) in [("/", 1), ("/kubepods", 2)] {
                let labels = labels.with(&[("id", id)]);
                let times = || times(from, month.end, 3 * number);
                let cpu = labels.with(&[("cpu", "total")]);
                self.series("container_cpu_usage_seconds_total", &cpu, times(), |at| {
                    Value::Thousandths(node_millicores_used(number) * (at - from) / share)
                });
                let memory = "container_memory_working_set_bytes";
                self.series(memory, &labels, times(), |_| {
                    Value::Whole(node_bytes_used(number) / share)
                });
            }
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
