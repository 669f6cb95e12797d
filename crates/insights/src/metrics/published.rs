//! What a scrape gets: replaced whole, so that no scrape sees half of a change.

use super::counted;
use super::exposition::{Block, Dialect, Encoding, Reply, Wanted, compose};
use super::families::{self, Part, View};
use super::live::Live;
use super::own::Own;
use jiff::Timestamp;
use model::attribution::{Attribution, Memberships, RenamedPseudoGroup};
use model::snapshot::Snapshot;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The written families of the last snapshot, and how to write those of the next.
pub struct Published {
    attribution: Attribution,
    namespace: String,
    prefix: String,
    written: RwLock<Arc<Written>>,
    live: Live,
    /// What scrapers asked for since the families were last written.
    plain_wanted: AtomicBool,
    gzip_wanted: AtomicBool,
}

#[derive(Default)]
struct Written {
    snapshot: Snapshot,
    membership: Arc<Vec<Block>>,
    presence: Vec<Block>,
}

impl Published {
    /// Families without samples, until the first snapshot comes.
    pub fn new(attribution: Attribution, namespace: &str, prefix: &str) -> Self {
        let published = Self {
            attribution,
            namespace: namespace.to_owned(),
            prefix: prefix.to_owned(),
            written: RwLock::default(),
            live: Live::default(),
            plain_wanted: AtomicBool::new(false),
            // As Prometheus asks; whoever asks otherwise is served too, and remembered.
            gzip_wanted: AtomicBool::new(true),
        };
        published.publish(&Snapshot::default());
        published
    }

    /// Writes what changed and then shows it. Takes tenths of a second for a million series:
    /// not for a thread that serves requests.
    ///
    /// Gives the pseudo groups that had to step aside for real ones.
    pub fn publish(&self, snapshot: &Snapshot) -> Vec<RenamedPseudoGroup> {
        let before = self.written();
        let is_first = before.membership.is_empty();
        let is_same = !is_first
            && same(before.snapshot.groups.as_ref(), snapshot.groups.as_ref())
            && same(before.snapshot.users.as_ref(), snapshot.users.as_ref());
        let wanted = Wanted {
            plain: self.plain_wanted.load(Ordering::Relaxed),
            gzip: self.gzip_wanted.load(Ordering::Relaxed),
        };
        let (membership, renamed) = if is_same {
            (before.membership.clone(), Vec::new())
        } else {
            // Whoever wants it still will say so again.
            self.plain_wanted.store(false, Ordering::Relaxed);
            let memberships = self.memberships(snapshot);
            let blocks = self.collect(snapshot, &memberships, Part::Membership, wanted);
            (Arc::new(blocks), memberships.renamed)
        };
        let presence = self.collect(snapshot, &Memberships::default(), Part::Presence, wanted);
        let written = Written {
            snapshot: snapshot.clone(),
            membership,
            presence,
        };
        *self.written.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(written);
        renamed
    }

    /// Figures beside the snapshot.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The present, as it is shown.
    pub fn snapshot(&self) -> Snapshot {
        self.written().snapshot.clone()
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
        self.membership.iter().chain(&self.presence)
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
