//! People who ask to be erased, for an administrator to see. Erasing does not belong here.

use crate::state::erasure_requests::{self, ErasureRequest};
use crate::{Store, StoreError};
use jiff::Timestamp;
use model::names::UserName;
use rusqlite::Connection;

impl Store {
    /// Notes that somebody asks to be erased; who asked before has asked then.
    pub async fn request_erasure(
        &self,
        hub: &str,
        user: &UserName,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let hub = hub.to_owned();
        let request = ErasureRequest {
            user: user.clone(),
            asked_at: now,
        };
        let ask = move |connection: &Connection| erasure_requests::ask(connection, &hub, &request);
        Ok(self.writer()?.write(ask).await?)
    }

    /// Takes a request back; false if there is none.
    pub async fn withdraw_erasure(&self, hub: &str, user: &UserName) -> Result<bool, StoreError> {
        let (hub, user) = (hub.to_owned(), user.clone());
        let withdraw =
            move |connection: &Connection| erasure_requests::withdraw(connection, &hub, &user);
        Ok(self.writer()?.write(withdraw).await?)
    }

    /// Who asked and is not erased, the one that asked first first.
    pub async fn erasure_requests(&self, hub: &str) -> Result<Vec<ErasureRequest>, StoreError> {
        let hub = hub.to_owned();
        let open = move |connection: &Connection| erasure_requests::open(connection, &hub);
        Ok(self.read_state(open).await?)
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{Kept, at, kept};
    use crate::{Revoked, Share, ShareDigest};

    #[tokio::test]
    async fn who_asks_waits_until_the_request_is_withdrawn() {
        let kept = kept().await;
        let ask = async |hub: &str, user: &str, time: &str| {
            let user = user.into();
            let asked = kept.store.request_erasure(hub, &user, at(time));
            asked.await.unwrap();
        };
        ask("hub", "ben", "11:00").await;
        ask("hub", "ada", "10:00").await;
        ask("hub", "ada", "12:00").await;
        ask("far", "cy", "10:00").await;
        let waiting = async || {
            let requests = kept.store.erasure_requests("hub").await.unwrap();
            let told = requests
                .iter()
                .map(|it| format!("{} {}", it.user, it.asked_at));
            told.collect::<Vec<_>>()
        };
        assert_eq!(
            waiting().await,
            ["ada 2026-11-20T10:00:00Z", "ben 2026-11-20T11:00:00Z"]
        );
        let withdraw = async |user: &str| {
            let user = user.into();
            let withdrawn = kept.store.withdraw_erasure("hub", &user);
            withdrawn.await.unwrap()
        };
        assert!(withdraw("ada").await);
        assert!(!withdraw("ada").await);
        assert!(!withdraw("cy").await, "of another hub");
        assert_eq!(waiting().await, ["ben 2026-11-20T11:00:00Z"]);
    }

    /// Everything that `state.db` and what stands beside it hold.
    fn kept_bytes(kept: &Kept) -> Vec<u8> {
        let files = std::fs::read_dir(kept.folder.path()).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let files = files.filter(|path| path.is_file());
        files
            .flat_map(|path| std::fs::read(path).unwrap())
            .collect()
    }

    async fn share(kept: &Kept, id: &str, made_by: &str, question: &str) {
        let share = Share {
            id: id.to_owned(),
            hub: "hub".into(),
            made_by: made_by.into(),
            made_at: at("10:00"),
            expires_at: at("2026-12-30T00:00:00Z"),
            revoked: None,
            question: question.to_owned(),
        };
        kept.store
            .make_share(share, ShareDigest::of(id))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn who_is_erased_leaves_no_request_and_no_name_at_shares() {
        let kept = kept().await;
        let user = "augusta".into();
        share(&kept, "hers", "augusta", r#"{"group":"physics"}"#).await;
        share(&kept, "of-others", "ben", r#"{"group":"augustan-poetry"}"#).await;
        share(&kept, "about-her", "ben", r#"{"group":"augusta"}"#).await;
        let revoked = Revoked {
            at: at("11:00"),
            by: "augusta".into(),
        };
        kept.store
            .revoke_share("hub", "of-others", revoked)
            .await
            .unwrap();
        kept.store
            .request_erasure("hub", &user, at("12:00"))
            .await
            .unwrap();
        let is_named = |kept: &Kept| {
            let bytes = kept_bytes(kept);
            let mut places = bytes.windows(8).filter(|part| part.starts_with(b"augusta"));
            places.any(|part| part[7] != b'n')
        };
        assert!(is_named(&kept));
        let erased = kept.keeper.erase("augusta").await.unwrap();
        assert_eq!(erased.n_rows, 4);
        assert!(!is_named(&kept));
        assert_eq!(kept.store.erasure_requests("hub").await.unwrap(), []);
        let left = kept.store.shares("hub").await.unwrap();
        let told = left.iter().map(|share| {
            let revoked = share.revoked.as_ref().map(|revoked| revoked.by.as_str());
            format!("{} by {}, {revoked:?}", share.id, share.made_by)
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "hers by erased, None",
                r#"of-others by ben, Some("erased")"#
            ]
        );
    }
}
