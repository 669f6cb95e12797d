//! Keeping who looked at, changed or erased what.

use crate::keeper::Keeper;
use crate::state::inbox;
use crate::state::spool::Intake;
use crate::tables::Audit;
use crate::{Store, StoreError};
use model::names::UserName;
use rusqlite::Connection;
use std::sync::Arc;

impl Keeper {
    /// Keeps who did what ([`Audit::new`]); it is on the disk when this answers.
    pub async fn audit(&self, audit: &Audit) -> Result<(), StoreError> {
        self.take(intake_of(audit)?).await?;
        Ok(())
    }
}

impl Store {
    /// The same for a process that may not be the keeper: it is on the disk when this answers, and in
    /// the table half a second after there is a keeper that looks.
    pub async fn audit(&self, audit: &Audit) -> Result<(), StoreError> {
        let (hub, batch) = (Arc::clone(&audit.hub), inbox::written(&intake_of(audit)?)?);
        let put = move |connection: &Connection| inbox::put(connection, &hub, &batch);
        self.writer()?.write(put).await?;
        Ok(())
    }
}

fn intake_of(audit: &Audit) -> Result<Intake, StoreError> {
    let mut intake = Intake::default();
    intake.row(audit, Some(&UserName::new(&*audit.viewer)))?;
    Ok(intake)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Engine, EngineSettings, Limits, Value};
    use crate::table::Format;
    use crate::tests::{Kept, at, kept, turn_clock};
    use serde_json::json;

    fn look(viewer: &str, user: &str, time: &str) -> Audit {
        let what = json!({"page": "users", "user": user});
        Audit::new("hub".into(), at(time), viewer, &what)
    }

    async fn about(kept: &Kept, user: &str, most: u32) -> String {
        let temporary = tempfile::tempdir().unwrap();
        let engine = Engine::new(EngineSettings::new(temporary.path().to_owned()));
        let sql = format!(
            "select \"at\", viewer, what from audit where json_get_str(what, 'user') = $user
             order by \"at\" desc limit {most}"
        );
        let params = [("user", Value::Text(user.to_owned()))];
        let (limits, now) = (Limits::default(), at("2026-11-21T12:00:00Z"));
        let found = kept.store.query_with(&engine, &sql, &params, limits, now);
        let mut text = Vec::new();
        found.await.unwrap().write(Format::Csv, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_look_is_found_by_whom_it_concerns_before_and_after_a_flush() {
        let kept = kept().await;
        for audit in [
            look("root", "ada", "10:00"),
            look("root", "ben", "11:00"),
            look("ops", "ada", "12:00"),
            look("ops", "ada", "09:00"),
            Audit::new("hub".into(), at("13:00"), "ops", &json!({"erased": "x"})),
        ] {
            kept.keeper.audit(&audit).await.unwrap();
        }
        let latest = about(&kept, "ada", 2).await;
        insta::assert_snapshot!(latest, @r#"
        at,viewer,what
        2026-11-20T12:00:00Z,ops,"{""page"":""users"",""user"":""ada""}"
        2026-11-20T10:00:00Z,root,"{""page"":""users"",""user"":""ada""}"
        "#);
        kept.keeper.flush().await.unwrap();
        assert_eq!(about(&kept, "ada", 2).await, latest, "from the history");
        assert_eq!(about(&kept, "cy", 9).await, "at,viewer,what\n");
    }

    #[tokio::test]
    async fn looks_are_past_their_time_after_400_days_and_erasures_never() {
        let kept = kept().await;
        let erased = json!({"erased": "somebody-1"});
        for audit in [
            look("root", "ada", "10:00"),
            Audit::new(
                "hub".into(),
                at("10:00"),
                "root",
                &json!({"sql": "select 1"}),
            ),
            Audit::new("hub".into(), at("10:00"), "command line", &erased),
            look("root", "ada", "2026-11-21T10:00:00Z"),
        ] {
            kept.keeper.audit(&audit).await.unwrap();
        }
        kept.keeper.flush().await.unwrap();
        let left = async |now: &str| {
            turn_clock(now);
            kept.keeper.vacuum().await.unwrap();
            let rows = kept.rows::<Audit>().await;
            let told = rows.iter().map(|row| format!("{:.0} {}", row.at, row.what));
            told.collect::<Vec<_>>()
        };
        // Days end together.
        assert_eq!(left("2027-12-25T23:59:59Z").await.len(), 4);
        let erasure = r#"2026-11-20T10:00:00Z {"erased":"somebody-1"}"#;
        let look = r#"2026-11-21T10:00:00Z {"page":"users","user":"ada"}"#;
        assert_eq!(left("2027-12-26T00:00:00Z").await, [erasure, look]);
        assert_eq!(left("2027-12-27T00:00:00Z").await, [erasure]);
        assert_eq!(left("2037-01-01T00:00:00Z").await, [erasure]);
    }

    #[tokio::test]
    async fn a_look_outlives_the_process_that_keeps_it() {
        let kept = kept().await;
        kept.keeper
            .audit(&look("root", "ada", "10:00"))
            .await
            .unwrap();
        let kept = kept.again().await;
        assert_eq!(about(&kept, "ada", 9).await.lines().count(), 2);
    }

    #[tokio::test]
    async fn a_process_that_is_no_keeper_hands_a_look_in() {
        let kept = kept().await;
        kept.store
            .audit(&look("root", "ada", "10:00"))
            .await
            .unwrap();
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        let keeper = kept.keeper.clone();
        let running = tokio::spawn(async move { keeper.run(async { drop(stopping.await) }).await });
        while about(&kept, "ada", 9).await.lines().count() < 2 {
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
        running.await.unwrap();
    }
}
