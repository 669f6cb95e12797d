//! Whose a pod is: from its annotations and labels, as kube-state-metrics tells them.
//!
//! The annotation holds the user's name as it is, so nothing is taken from a pod's name. Only where
//! labels are not told at all, a pod's name says whether it looks like a user's pod.

use super::LabelNames;
use super::asker::{POD, pod_of};
use super::reply::Labels;
use model::names::UserName;
use model::usage::Account;
use std::collections::HashMap;
use std::sync::Arc;

/// Why usage belongs to nobody, in the words of [`crate::sources::Unattributed`].
pub(super) const NO_ANNOTATION: &str = "no annotation";
pub(super) const SEVERAL_USERS: &str = "several users";
pub(super) const UNKNOWN_USER: &str = "unknown user";

const COMPONENT: &str = "label_component";
/// The label of KubeSpawner 7 and of Dask.
const APP_COMPONENT: &str = "label_app_kubernetes_io_component";

/// The pods of one hour, or of now.
#[derive(Debug, Default)]
pub(super) struct Pods {
    by_name: HashMap<Arc<str>, Pod>,
    /// Some pod has the server annotation, so it is told of all that have it.
    has_servers: bool,
    /// Some pod has a component, so it is told of all that have it.
    has_components: bool,
}

/// Who is charged for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Account(Account),
    /// A user's, but not known whose: why.
    Nobody(&'static str),
    /// The hub's own, or something else.
    NotUsers,
}

/// What a pod is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Component {
    #[default]
    Unknown,
    Server,
    Dask,
    Placeholder,
    Other,
}

#[derive(Debug, Default)]
struct Pod {
    user: Option<User>,
    server: Option<Arc<str>>,
    component: Component,
}

#[derive(Debug, PartialEq, Eq)]
enum User {
    One(UserName),
    Several,
}

/// Labels by which `kube_pod_annotations` is asked for.
pub(super) fn annotation_labels(names: &LabelNames) -> Vec<&str> {
    let mut labels = POD.to_vec();
    labels.extend([names.user.as_str(), names.server.as_str()]);
    labels
}

/// Labels by which `kube_pod_labels` is asked for.
pub(super) fn component_labels() -> Vec<&'static str> {
    [&POD[..], &[COMPONENT, APP_COMPONENT]].concat()
}

impl Pods {
    /// Takes in a series of `kube_pod_annotations`.
    pub(super) fn add_annotation(&mut self, labels: &Labels, names: &LabelNames) {
        let user = labels.get(&names.user);
        if user.is_empty() {
            return;
        }
        let server = Some(labels.get(&names.server)).filter(|server| !server.is_empty());
        self.has_servers |= server.is_some();
        let pod = self.pod(labels);
        pod.user = Some(match pod.user.take() {
            None => User::One(UserName::from(user)),
            Some(User::One(other)) if other.as_str() == user => User::One(other),
            Some(_) => User::Several,
        });
        // Two servers of one user whose pods had the same name within an hour cannot be told
        // apart; the one that sorts first is as good as the other, and the same each time.
        if let Some(server) = server
            && pod.server.as_deref().is_none_or(|other| server < other)
        {
            pod.server = Some(server.into());
        }
    }

    /// Takes in a series of `kube_pod_labels`.
    pub(super) fn add_labels(&mut self, labels: &Labels) {
        let component = Component::of(labels);
        if component == Component::Unknown {
            return;
        }
        self.has_components = true;
        let pod = self.pod(labels);
        if pod.component == Component::Unknown || component != Component::Other {
            pod.component = component;
        }
    }

    /// Who is charged for the pod of this name.
    pub(super) fn whose(&self, name: &str) -> Whose {
        let pod = self.by_name.get(name);
        match pod.and_then(|pod| Some((pod, pod.user.as_ref()?))) {
            Some((pod, User::One(user))) => Whose::Account(Account {
                user: user.clone(),
                server: self.server_of(name, pod),
            }),
            Some((_, User::Several)) => Whose::Nobody(SEVERAL_USERS),
            None if self.looks_like_a_users(name) => Whose::Nobody(NO_ANNOTATION),
            None => Whose::NotUsers,
        }
    }

    /// What the pod is for.
    pub(super) fn component(&self, name: &str) -> Component {
        self.by_name
            .get(name)
            .map(|pod| pod.component)
            .unwrap_or_default()
    }

    /// Whether any pod says whose it is.
    pub(super) fn has_users(&self) -> bool {
        self.by_name.values().any(|pod| pod.user.is_some())
    }

    /// Whether named servers can be told from default ones.
    pub(super) fn has_servers(&self) -> bool {
        self.has_servers
    }

    /// Whether the pod runs a server of its user, and not what that has started.
    pub(super) fn is_server(&self, name: &str) -> bool {
        if self.has_components {
            return self.component(name) == Component::Server;
        }
        !name.starts_with("dask-")
    }

    fn server_of(&self, name: &str, pod: &Pod) -> Option<Arc<str>> {
        if !self.is_server(name) || !self.has_servers {
            return None;
        }
        // Only named servers have the annotation.
        Some(pod.server.clone().unwrap_or_else(|| Arc::from("")))
    }

    fn looks_like_a_users(&self, name: &str) -> bool {
        if self.has_components {
            return matches!(self.component(name), Component::Server | Component::Dask);
        }
        name.starts_with("jupyter-") || name.starts_with("dask-")
    }

    fn pod(&mut self, labels: &Labels) -> &mut Pod {
        self.by_name.entry(pod_of(labels).into()).or_default()
    }
}

impl Component {
    fn of(labels: &Labels) -> Self {
        let of = |value: &str| match value {
            "" => Self::Unknown,
            "singleuser-server" => Self::Server,
            "user-placeholder" => Self::Placeholder,
            dask if dask.starts_with("dask") => Self::Dask,
            _ => Self::Other,
        };
        let (old, new) = (of(labels.get(COMPONENT)), of(labels.get(APP_COMPONENT)));
        match (old, new) {
            (Self::Unknown, new) => new,
            (Self::Other, new) if new != Self::Unknown => new,
            (old, _) => old,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(annotations: &[&[(&str, &str)]], labels: &[&[(&str, &str)]]) -> Pods {
        let names = LabelNames {
            user: "user".to_owned(),
            server: "server".to_owned(),
        };
        let labels_of = |series: &&[(&str, &str)]| series.iter().copied().collect::<Labels>();
        let mut pods = Pods::default();
        for series in annotations {
            pods.add_annotation(&labels_of(series), &names);
        }
        for series in labels {
            pods.add_labels(&labels_of(series));
        }
        pods
    }

    fn account(user: &str, server: Option<&str>) -> Whose {
        Whose::Account(Account {
            user: UserName::from(user),
            server: server.map(Arc::from),
        })
    }

    #[test]
    fn a_pod_without_server_annotation_is_the_default_server_once_one_has_it() {
        let ada = [("pod", "jupyter-ada"), ("user", "Ada L")];
        let named = [
            ("pod", "jupyter-ada--x"),
            ("user", "Ada L"),
            ("server", "x"),
        ];
        let before = pods(&[&ada], &[]);
        assert_eq!(before.whose("jupyter-ada"), account("Ada L", None));
        let after = pods(&[&ada, &named], &[]);
        assert_eq!(after.whose("jupyter-ada"), account("Ada L", Some("")));
        assert_eq!(after.whose("jupyter-ada--x"), account("Ada L", Some("x")));
    }

    #[test]
    fn what_a_server_has_started_is_charged_to_the_user_and_no_server() {
        let pods = pods(
            &[
                &[("pod", "a"), ("user", "ada"), ("server", "x")],
                &[("pod", "dask-worker-1"), ("user", "ada")],
                &[("pod", "spark-1"), ("user", "ada")],
            ],
            &[
                &[("pod", "a"), (COMPONENT, "singleuser-server")],
                &[("pod", "dask-worker-1"), (APP_COMPONENT, "dask-worker")],
                &[("pod", "dask-worker-2"), (APP_COMPONENT, "dask-worker")],
                &[("pod", "hub-1"), (COMPONENT, "hub")],
                &[
                    ("pod", "jupyter-eve"),
                    (COMPONENT, "other"),
                    (APP_COMPONENT, "singleuser-server"),
                ],
                &[
                    ("pod", "user-placeholder-0"),
                    (COMPONENT, "user-placeholder"),
                ],
            ],
        );
        assert_eq!(pods.whose("a"), account("ada", Some("x")));
        assert_eq!(pods.whose("dask-worker-1"), account("ada", None));
        assert_eq!(pods.whose("spark-1"), account("ada", None));
        assert_eq!(pods.whose("dask-worker-2"), Whose::Nobody(NO_ANNOTATION));
        assert_eq!(pods.whose("jupyter-eve"), Whose::Nobody(NO_ANNOTATION));
        for other in ["hub-1", "user-placeholder-0", "jupyter-unheard-of"] {
            assert_eq!(pods.whose(other), Whose::NotUsers, "{other}");
        }
        assert_eq!(pods.component("user-placeholder-0"), Component::Placeholder);
    }

    #[test]
    fn a_pod_that_two_users_had_is_nobodys_and_names_tell_what_labels_do_not() {
        let pods = pods(
            &[
                &[("pod", "p"), ("user", "ada")],
                &[("pod", "p"), ("user", "eve")],
                &[("pod", "exporter"), ("exported_pod", "q"), ("user", "eve")],
            ],
            &[],
        );
        assert_eq!(pods.whose("p"), Whose::Nobody(SEVERAL_USERS));
        assert_eq!(pods.whose("q"), account("eve", None));
        assert_eq!(pods.whose("exporter"), Whose::NotUsers);
        assert_eq!(pods.whose("jupyter-x"), Whose::Nobody(NO_ANNOTATION));
        assert_eq!(pods.whose("hub-x"), Whose::NotUsers);
        assert!(pods.has_users() && !pods.has_servers());
    }
}
