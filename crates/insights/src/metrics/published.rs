//! What a scrape gets: replaced whole, so that no scrape sees half of a change.

use super::Naming;
use super::counted;
use super::exposition::{Block, Dialect, Encoding, Reply, Wanted, compose};
use super::families::{self, Part, View};
use super::live::Live;
use super::own::Own;
use super::usage::{self, ExporterNames, UsageNow, UsageShape, UsageView, UserRows};
use crate::sources::Look;
use jiff::Timestamp;
use model::attribution::{Attribution, Memberships, RenamedPseudoGroup};
use model::names::GroupName;
use model::snapshot::Snapshot;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::Notify;

/// The written families of the last snapshot, and how to write those of the next.
pub struct Published {
    attribution: Attribution,
    namespace: String,
    prefix: String,
    written: RwLock<Arc<Written>>,
    /// Held while what was written is replaced: two tasks do it.
    writing: Mutex<()>,
    usage_shape: UsageShape,
    live: Live,
    news_wanted: Notify,
    /// What scrapers asked for since the families were last written.
    plain_wanted: AtomicBool,
    gzip_wanted: AtomicBool,
}

#[derive(Default)]
struct Written {
    snapshot: Snapshot,
    membership: Arc<Vec<Block>>,
    presence: Arc<Vec<Block>>,
    /// Without samples until usage was looked at.
    usage: Arc<Vec<Block>>,
    usage_now: Option<Arc<UsageNow>>,
}

impl Published {
    /// Families without samples, until the first snapshot comes.
    pub fn new(attribution: Attribution, namespace: &str, prefix: &str) -> Self {
        let published = Self {
            attribution,
            namespace: namespace.to_owned(),
            prefix: prefix.to_owned(),
            written: RwLock::default(),
            writing: Mutex::default(),
            usage_shape: UsageShape {
                rows: UserRows::Shown,
                names: ExporterNames::LeftOut,
                naming: Naming::Anonymous,
            },
            live: Live::default(),
            news_wanted: Notify::new(),
            plain_wanted: AtomicBool::new(false),
            // As Prometheus asks; whoever asks otherwise is served too, and remembered.
            gzip_wanted: AtomicBool::new(true),
        };
        published.publish(&Snapshot::default());
        published
    }

    /// The same with these families about usage; else a row per user, and nobody named.
    #[must_use]
    pub fn with_usage(self, usage_shape: UsageShape) -> Self {
        Self {
            usage_shape,
            ..self
        }
    }

    /// Writes what changed and then shows it. Takes tenths of a second for a million series:
    /// not for a thread that serves requests.
    ///
    /// Gives the pseudo groups that had to step aside for real ones.
    pub fn publish(&self, snapshot: &Snapshot) -> Vec<RenamedPseudoGroup> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.written();
        let is_first = before.membership.is_empty();
        let is_same = !is_first
            && same(before.snapshot.groups.as_ref(), snapshot.groups.as_ref())
            && same(before.snapshot.users.as_ref(), snapshot.users.as_ref());
        let wanted = self.wanted();
        let (membership, usage, renamed) = if is_same {
            let (membership, usage) = (&before.membership, &before.usage);
            (Arc::clone(membership), Arc::clone(usage), Vec::new())
        } else {
            // Whoever wants it still will say so again.
            self.plain_wanted.store(false, Ordering::Relaxed);
            let memberships = self.memberships(snapshot);
            let blocks = self.collect(snapshot, &memberships, Part::Membership, wanted);
            let usage = match &before.usage_now {
                Some(now) => self.collect_usage(now, snapshot, &memberships, wanted),
                None => usage::collect(None, &self.prefix, wanted),
            };
            (Arc::new(blocks), Arc::new(usage), memberships.renamed)
        };
        let presence = self.collect(snapshot, &Memberships::default(), Part::Presence, wanted);
        self.show(Written {
            snapshot: snapshot.clone(),
            membership,
            presence: Arc::new(presence),
            usage,
            usage_now: before.usage_now.clone(),
        });
        renamed
    }

    /// Shows what servers use. As [`Self::publish`] not for a thread that serves requests.
    pub fn publish_usage(&self, look: &Look) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.written();
        let memberships = self.memberships(&before.snapshot);
        let servers = before.snapshot.servers.as_ref();
        let servers = servers.map(|servers| &*servers.value);
        let now = UsageNow::after(before.usage_now.as_deref(), look, &memberships, servers);
        let wanted = self.wanted();
        let usage = self.collect_usage(&now, &before.snapshot, &memberships, wanted);
        self.show(Written {
            snapshot: before.snapshot.clone(),
            membership: Arc::clone(&before.membership),
            presence: Arc::clone(&before.presence),
            usage: Arc::new(usage),
            usage_now: Some(Arc::new(now)),
        });
    }

    fn show(&self, written: Written) {
        *self.written.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(written);
    }

    /// The encodings that scrapers ask for.
    fn wanted(&self) -> Wanted {
        Wanted {
            plain: self.plain_wanted.load(Ordering::Relaxed),
            gzip: self.gzip_wanted.load(Ordering::Relaxed),
        }
    }

    fn collect_usage(
        &self,
        now: &UsageNow,
        snapshot: &Snapshot,
        memberships: &Memberships,
        wanted: Wanted,
    ) -> Vec<Block> {
        let groups = snapshot.groups.iter().flat_map(|groups| &*groups.value);
        let visible = groups.filter(|group| self.attribution.filter.allows(&group.name));
        let groups: Vec<GroupName> = visible.map(|group| group.name.clone()).collect();
        let view = UsageView {
            now,
            memberships,
            groups: &groups,
            namespace: &self.namespace,
            shape: self.usage_shape,
        };
        usage::collect(Some(&view), &self.prefix, wanted)
    }

    /// Figures beside the snapshot.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Somebody looks who needs to know the present as it is now: it should be read soon.
    pub fn want_news(&self) {
        self.news_wanted.notify_one();
    }

    /// Waits until somebody does; one who did so since the last wait counts.
    pub async fn news_wanted(&self) {
        self.news_wanted.notified().await;
    }

    /// The present, as it is shown.
    pub fn snapshot(&self) -> Snapshot {
        self.written().snapshot.clone()
    }

    /// What servers use, as it is shown; `None` before the first look.
    pub fn usage_now(&self) -> Option<Arc<UsageNow>> {
        self.written().usage_now.clone()
    }

    /// A scrape's reply.
    pub fn reply(&self, own: &Own, now: Timestamp, dialect: Dialect, encoding: Encoding) -> Reply {
        let wanted = match encoding {
            Encoding::Identity => &self.plain_wanted,
            Encoding::Gzip => &self.gzip_wanted,
        };
        wanted.store(true, Ordering::Relaxed);
        let written = self.written();
        let mut beside = self.live.collect(&self.prefix);
        beside.extend(counted::collect(&self.live.tallied(), &self.prefix));
        let about_the_hub = written.blocks().chain(&beside);
        own.set_series(about_the_hub.clone().map(Block::n_samples).sum());
        let own = own.collect(now);
        compose(about_the_hub.chain(&own), dialect, encoding)
    }

    fn memberships(&self, snapshot: &Snapshot) -> Memberships {
        let Some(groups) = &snapshot.groups else {
            return Memberships::default();
        };
        let users = snapshot.users.as_ref().map(|users| &*users.value);
        self.attribution.apply(&groups.value, users)
    }

    fn collect(
        &self,
        snapshot: &Snapshot,
        memberships: &Memberships,
        part: Part,
        wanted: Wanted,
    ) -> Vec<Block> {
        let view = View {
            snapshot,
            attribution: &self.attribution,
            memberships,
            namespace: &self.namespace,
        };
        families::collect(&view, &self.prefix, part, wanted)
    }

    fn written(&self) -> Arc<Written> {
        self.written
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Written {
    fn blocks(&self) -> impl Iterator<Item = &Block> + Clone {
        let about_the_hub = self.membership.iter().chain(&*self.presence);
        about_the_hub.chain(&*self.usage)
    }
}

/// The same value, whenever it was read. Most polls bring the very same allocation.
fn same<T: PartialEq + ?Sized>(
    left: Option<&model::snapshot::Dated<Arc<T>>>,
    right: Option<&model::snapshot::Dated<Arc<T>>>,
) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => {
            Arc::ptr_eq(&left.value, &right.value) || left.value == right.value
        }
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::attribution::{ExtraMultipleRow, MultiGroupRule};
    use model::filter::GroupFilter;
    use model::snapshot::{Dated, Group};

    fn snapshot(members: &[&str], second: i64) -> Snapshot {
        let members = members.iter().map(|&name| name.into());
        let groups = vec![Group::new("physics".into(), members)];
        let at = Timestamp::from_second(second).unwrap();
        Snapshot {
            groups: Some(Dated {
                value: groups.into(),
                at,
            }),
            ..Snapshot::default()
        }
    }

    #[test]
    fn memberships_are_written_once_per_change_however_often_they_are_read() {
        let rules = Attribution {
            filter: GroupFilter::default(),
            rule: MultiGroupRule::InEach,
            extra_row: ExtraMultipleRow::Omit,
        };
        let published = Published::new(rules, "hub", "jupyterhub");
        published.publish(&snapshot(&["ada"], 1));
        let first = published.written();
        published.publish(&snapshot(&["ada"], 2));
        assert!(Arc::ptr_eq(
            &first.membership,
            &published.written().membership
        ));
        published.publish(&snapshot(&["ada", "grace"], 3));
        assert!(!Arc::ptr_eq(
            &first.membership,
            &published.written().membership
        ));
    }
}
