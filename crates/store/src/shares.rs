//! Links that show one page or report to whoever has them. What they show does not belong here.

use crate::state::shares::{self, Revoked, Share, ShareDigest};
use crate::{Store, StoreError};
use rusqlite::Connection;

impl Store {
    /// Keeps a new link with what is kept of its secret; it is on the disk when this answers. Its `id`
    /// and secret must be new.
    pub async fn make_share(&self, share: Share, digest: ShareDigest) -> Result<(), StoreError> {
        let make = move |connection: &Connection| shares::make(connection, &share, digest);
        Ok(self.writer()?.write(make).await?)
    }

    /// The link with this secret, also one that is not open any more: see [`Share::is_open`].
    pub async fn share_by_digest(&self, digest: ShareDigest) -> Result<Option<Share>, StoreError> {
        let find = move |connection: &Connection| shares::by_digest(connection, digest);
        Ok(self.read_state(find).await?)
    }

    /// All links of a hub, the newest first.
    pub async fn shares(&self, hub: &str) -> Result<Vec<Share>, StoreError> {
        let hub = hub.to_owned();
        let all = move |connection: &Connection| shares::all(connection, &hub);
        Ok(self.read_state(all).await?)
    }

    /// Ends a link at once; false if there is none or somebody ended it before.
    pub async fn revoke_share(
        &self,
        hub: &str,
        id: &str,
        revoked: Revoked,
    ) -> Result<bool, StoreError> {
        let (hub, id) = (hub.to_owned(), id.to_owned());
        let revoke = move |connection: &Connection| shares::revoke(connection, &hub, &id, &revoked);
        Ok(self.writer()?.write(revoke).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Kept, at, kept, turn_clock};

    fn share(id: &str, made_at: &str) -> Share {
        Share {
            id: id.to_owned(),
            hub: "hub".into(),
            made_by: "ada".into(),
            made_at: at(made_at),
            expires_at: at("2026-11-30T00:00:00Z"),
            revoked: None,
            question: r#"{"report":"groups"}"#.to_owned(),
        }
    }

    async fn make(kept: &Kept, share: &Share) {
        let digest = ShareDigest::of(&format!("secret of {}", share.id));
        kept.store.make_share(share.clone(), digest).await.unwrap();
    }

    #[tokio::test]
    async fn a_share_is_found_by_its_secret_also_after_a_restart() {
        let kept = kept().await;
        let made = share("a", "10:00");
        make(&kept, &made).await;
        let kept = kept.again().await;
        let found = kept.store.share_by_digest(ShareDigest::of("secret of a"));
        assert_eq!(found.await.unwrap(), Some(made));
        let other = kept.store.share_by_digest(ShareDigest::of("secret of b"));
        assert_eq!(other.await.unwrap(), None);
    }

    #[tokio::test]
    async fn shares_of_a_hub_are_listed_and_its_names_taken_once() {
        let kept = kept().await;
        let (old, new) = (share("a", "10:00"), share("b", "11:00"));
        let elsewhere = Share {
            hub: "far".into(),
            ..share("c", "12:00")
        };
        for share in [&old, &elsewhere, &new] {
            make(&kept, share).await;
        }
        assert_eq!(kept.store.shares("hub").await.unwrap(), [new, old.clone()]);
        let again = kept.store.make_share(old, ShareDigest::of("another"));
        again.await.unwrap_err();
    }

    #[tokio::test]
    async fn a_share_is_open_until_it_expires_or_is_revoked() {
        let kept = kept().await;
        make(&kept, &share("a", "10:00")).await;
        let digest = ShareDigest::of("secret of a");
        let found = async || kept.store.share_by_digest(digest).await.unwrap().unwrap();
        assert!(found().await.is_open(at("2026-11-29T23:59:59Z")));
        assert!(!found().await.is_open(at("2026-11-30T00:00:00Z")));
        let by = |user: &str| Revoked {
            at: at("12:00"),
            by: user.into(),
        };
        let revoke = async |hub: &str, id: &str, user: &str| {
            kept.store.revoke_share(hub, id, by(user)).await.unwrap()
        };
        assert!(!revoke("far", "a", "ben").await, "of another hub");
        assert!(!revoke("hub", "b", "ben").await, "there is none");
        assert!(revoke("hub", "a", "ben").await);
        assert!(!revoke("hub", "a", "cy").await, "for the second time");
        assert!(!found().await.is_open(at("12:00")));
        assert_eq!(found().await.revoked, Some(by("ben")));
    }

    #[tokio::test]
    async fn a_share_is_forgotten_thirty_days_after_its_end() {
        let kept = kept().await;
        for id in ["revoked", "expires"] {
            make(&kept, &share(id, "10:00")).await;
        }
        let elsewhere = Share {
            hub: "far".into(),
            ..share("of another hub", "10:00")
        };
        make(&kept, &elsewhere).await;
        let revoked = Revoked {
            at: at("12:00"),
            by: "ben".into(),
        };
        let revoked = kept.store.revoke_share("hub", "revoked", revoked);
        assert!(revoked.await.unwrap());
        let known = async |now: &str| {
            turn_clock(now);
            kept.keeper.vacuum().await.unwrap();
            let mut known = Vec::new();
            for id in ["revoked", "expires", "of another hub"] {
                let digest = ShareDigest::of(&format!("secret of {id}"));
                let found = kept.store.share_by_digest(digest).await.unwrap();
                known.extend(found.map(|_| id));
            }
            known
        };
        let all = ["revoked", "expires", "of another hub"];
        assert_eq!(known("2026-12-20T12:00:00Z").await, all);
        assert_eq!(known("2026-12-20T12:00:01Z").await, all[1..]);
        assert_eq!(known("2026-12-30T00:00:00Z").await, all[1..]);
        let of_others = "their own keeper forgets them";
        assert_eq!(known("2026-12-30T00:00:01Z").await, all[2..], "{of_others}");
    }
}
