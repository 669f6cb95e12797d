//! Gauges of pods that are summed over an hour: what each is called, and what its labels mean.

use super::asker::{Asker, Block, Extent, POD};
use super::promql::{Selector, grouped};
use super::reply::Labels;

/// A gauge whose value times time is what was used.
#[derive(Debug)]
pub(super) struct Gauge {
    metric: &'static str,
    /// Turns its metric into its series.
    select: fn(Selector) -> Selector,
    /// Labels that tell the things of a pod apart whose values are summed: containers, GPUs.
    things: &'static [&'static str],
    /// Labels that tell one life of such a thing from the next: a server that is started anew has
    /// a pod of the same name.
    lives: &'static [&'static str],
    /// A label that is kept beside the pod; empty if there is none.
    kept: &'static str,
    /// Labels that tell exporters apart which may say the same twice.
    exporter: &'static [&'static str],
    /// In which phases and conditions of a pod it does not count.
    idle: &'static [Idle],
}

/// A metric that is 1 while a pod is in a state.
#[derive(Debug)]
struct Idle {
    metric: &'static str,
    label: &'static str,
    values: &'static [&'static str],
}

const CONTAINER: &[&str] = &["container", "exported_container"];
const GPU: &[&str] = &["UUID", "gpu", "GPU_I_ID"];

/// Memory in use: the working set, which is what the kernel cannot give up at once. The empty name is
/// that of the pod as a whole, which would count everything twice.
pub(super) const MEMORY: Gauge = Gauge {
    metric: "container_memory_working_set_bytes",
    select: |series| series.not_empty("name"),
    things: CONTAINER,
    lives: &["id", "name"],
    kept: "",
    // A pod runs on one node, and only there is cAdvisor asked about it.
    exporter: &["job"],
    idle: &[],
};

/// What pods ask for, while they hold it: from when they have a node until they have ended.
pub(super) const REQUESTS: Gauge = Gauge {
    metric: "kube_pod_container_resource_requests",
    select: |series| series.one_of("resource", RESOURCES),
    things: CONTAINER,
    // Without a label of the node until it has one: series that follow each other.
    lives: &["uid", "node", "exported_node"],
    kept: "resource",
    exporter: &["job", "instance"],
    idle: &[
        Idle {
            metric: "kube_pod_status_phase",
            label: "phase",
            values: &["Succeeded", "Failed"],
        },
        Idle {
            metric: "kube_pod_status_scheduled",
            label: "condition",
            values: &["false", "unknown"],
        },
    ],
};

/// What pods cannot have more of.
pub(super) const MEMORY_LIMITS: Gauge = Gauge {
    metric: "kube_pod_container_resource_limits",
    select: |series| series.equals("resource", "memory"),
    kept: "",
    idle: &[],
    ..REQUESTS
};

/// Resources that are looked at, as kube-state-metrics writes them.
pub(super) const RESOURCES: &[&str] = &["cpu", "memory", "nvidia_com_gpu", "amd_com_gpu"];

/// Share of time, up to 1, in which a GPU's engine works.
pub(super) const GPU_ACTIVE: Gauge = Gauge {
    metric: "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    select: |series| series,
    things: GPU,
    lives: &[],
    kept: "",
    exporter: &["job", "instance"],
    idle: &[],
};

/// The same in percent, of GPUs and drivers that do not have the other.
pub(super) const GPU_UTILISATION: Gauge = Gauge {
    metric: "DCGM_FI_DEV_GPU_UTIL",
    ..GPU_ACTIVE
};

impl Gauge {
    /// Its series, whatever namespace they are of.
    pub(super) fn selector(&self) -> Selector {
        (self.select)(Selector::new(self.metric))
    }

    /// The label that is kept beside the pod.
    pub(super) fn kept<'a>(&self, labels: &'a Labels) -> &'a str {
        match self.kept {
            "" => "",
            label => labels.get(label),
        }
    }

    /// The exporter that a series is from.
    pub(super) fn exporter_of(&self, labels: &Labels) -> String {
        let mut parts: Vec<_> = self
            .exporter
            .iter()
            .map(|label| labels.get(label))
            .collect();
        parts.push(labels.get("exported_namespace"));
        if !labels.get("exported_pod").is_empty() {
            parts.push(labels.get("pod"));
        }
        parts.join("\u{1f}")
    }

    /// The same exporter's series of the same pod.
    pub(super) fn same_exporter(&self, asker: &Asker<'_>, labels: &Labels) -> Selector {
        let of_pod = asker.of_pod(self.selector(), labels);
        self.exporter.iter().fold(of_pod, |selector, label| {
            selector.equals(label, labels.get(label))
        })
    }

    /// Values of a pod as they are now. A thing has one life at a time, though for some minutes after
    /// it was started anew the last value of the life before is told as well.
    pub(super) fn sum_now(&self, asker: &Asker<'_>) -> String {
        let things = by(&[&[self.kept], self.things]);
        let of_things = grouped("max", &things, &asker.mine(self.selector()).now());
        grouped("sum", &by(&[&[self.kept]]), &of_things)
    }

    /// Sums of a pod's values by exporter.
    pub(super) fn sum(&self, asker: &Asker<'_>, block: Block<'_>) -> String {
        let kept = [self.kept];
        let of_lives = self.of_lives("sum_over_time", asker, block);
        grouped("sum", &by(&[self.exporter, &kept]), &of_lives)
    }

    /// Numbers of a pod's samples by exporter: of things that are measured together the most.
    pub(super) fn count(&self, asker: &Asker<'_>, block: Block<'_>) -> String {
        let kept = [self.kept];
        let of_lives = self.of_lives("count_over_time", asker, block);
        let things = by(&[self.exporter, &kept, self.things]);
        let of_things = grouped("sum", &things, &of_lives);
        grouped("max", &by(&[self.exporter]), &of_things)
    }

    /// Largest values of a pod: the sum of its things' largest, which is too much where these are not
    /// at the same moment. A server's pod has one container beside the pause container.
    pub(super) fn peak(&self, asker: &Asker<'_>, block: Block<'_>) -> String {
        let window = block.window_ms(Extent::Hour);
        let series = asker.mine(self.selector()).over("max_over_time", window);
        let of_things = grouped("max", &by(&[self.things]), &series);
        grouped("sum", &by(&[]), &of_things)
    }

    /// Numbers of samples, by exporter, in which a pod was there and does not count.
    pub(super) fn idle(&self, asker: &Asker<'_>, block: Block<'_>) -> Vec<String> {
        let window = block.window_ms(Extent::Hour);
        let queries = self.idle.iter().map(|idle| {
            let selector = Selector::new(idle.metric).one_of(idle.label, idle.values);
            let series = asker.mine(selector).over("sum_over_time", window);
            let labels = by(&[self.exporter, self.lives, &[idle.label]]);
            let of_lives = grouped("max", &labels, &series);
            let of_pod = grouped("sum", &by(&[self.exporter]), &of_lives);
            format!("{of_pod} > 0")
        });
        queries.collect()
    }

    fn of_lives(&self, function: &str, asker: &Asker<'_>, block: Block<'_>) -> String {
        let window = block.window_ms(Extent::Hour);
        let series = asker.mine(self.selector()).over(function, window);
        let kept = [self.kept];
        let labels = by(&[self.exporter, &kept, self.things, self.lives]);
        grouped("max", &labels, &series)
    }
}

/// Labels of the pod and these.
fn by<'a>(more: &[&[&'a str]]) -> Vec<&'a str> {
    let mut labels: Vec<&str> = POD.to_vec();
    for labels_more in more {
        labels.extend(labels_more.iter().filter(|label| !label.is_empty()));
    }
    labels
}
