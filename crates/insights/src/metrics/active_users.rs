//! Users who were active lately, counted by a query over the history.
//!
//! When it is asked is up to `service`.

use super::live::ActiveUsers;
use jiff::Timestamp;
use store::{AskError, Engine, Format, Limits, Store, TableError, Value};

/// The query, for the docs and for whoever wants to check.
pub const SQL: &str = include_str!("active_users.sql");
const PERIODS: [&str; 3] = ["24h", "7d", "30d"];
const DEFINITIONS: [&str; 2] = ["active", "started"];

/// Why users were not counted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CountError {
    #[error("the query failed")]
    Ask(#[from] AskError),
    #[error("its answer cannot be written")]
    Table(#[from] TableError),
    #[error("its answer is not as expected: `{0}`")]
    Answer(String),
}

/// Asks the history.
pub async fn count(
    store: &Store,
    engine: &Engine,
    hub: &str,
    now: Timestamp,
) -> Result<Vec<ActiveUsers>, CountError> {
    let params = [("hub", Value::Text(hub.to_owned()))];
    let limits = Limits::default();
    let answer = store.query_with(engine, SQL, &params, limits, now).await?;
    let mut text = Vec::new();
    answer.write(Format::Csv, &mut text)?;
    read(&String::from_utf8_lossy(&text))
}

/// Reads lines of `definition,24h,7d,30d` after the head.
fn read(text: &str) -> Result<Vec<ActiveUsers>, CountError> {
    let unexpected = || CountError::Answer(text.to_owned());
    let mut counted = Vec::new();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',');
        let definition = cells.next().and_then(|cell| {
            let known = DEFINITIONS.iter().copied();
            known.into_iter().find(|known| *known == cell)
        });
        let definition = definition.ok_or_else(unexpected)?;
        for period in PERIODS {
            let n_users = cells.next().and_then(|cell| cell.parse().ok());
            counted.push(ActiveUsers {
                period,
                definition,
                n_users: n_users.ok_or_else(unexpected)?,
            });
        }
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use model::diff::{Running, StopCredit};
    use model::fact::{Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
    use model::snapshot::Dated;
    use model::tally::Tally;
    use store::tables::{Event, RowId};
    use store::{EngineSettings, Folder, Intake, KeeperSettings, PresentChange};

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    /// So many days ago.
    fn ago(days: f64) -> Timestamp {
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
        let seconds = (days * 86_400.0) as i64;
        Timestamp::from_second(now().as_second() - seconds).unwrap()
    }

    fn ran(user: &str, from: f64, until: f64, stopped: StopEvidence) -> [KeyedFact; 2] {
        let key = ServerKey {
            user: user.into(),
            server: "".into(),
        };
        let fact = |at, what| KeyedFact {
            key: key.clone(),
            fact: Fact { at, what },
        };
        let seen = What::Seen {
            started: ago(from),
            options: None,
            image: None,
        };
        let gone = What::Gone {
            started: Some(ago(from)),
            last_seen: ago(until),
            watch: Watch::Watched,
            hub_restarted: None,
            stop_counted: stopped,
        };
        [fact(ago(from), seen), fact(ago(until), gone)]
    }

    fn runs(user: &str, from: f64, last_activity: f64) -> Running {
        Running {
            key: ServerKey {
                user: user.into(),
                server: "".into(),
            },
            started: ago(from),
            is_cut: false,
            options: None,
            image: None,
            seen_ready: ago(from),
            last_seen: ago(0.0),
            tally: Tally {
                last_activity: Some(ago(last_activity)),
                ..Tally::default()
            },
        }
    }

    fn login(hub: &str, user: &str, days: f64) -> Event {
        Event {
            id: RowId::of(&[hub, user]),
            hub: hub.into(),
            at: ago(days),
            not_before: None,
            kind: "login".into(),
            user: Some(user.into()),
            server: None,
            detail: None,
            source: "hooks".into(),
            schema: None,
            schema_version: None,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn users_count_by_the_last_moment_of_each_definition() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
        let settings = KeeperSettings::new("hub".into(), TimeZone::UTC, now);
        let keeper = store.try_keep(settings).await.unwrap().unwrap();
        let mut intake = Intake::default();
        let facts = [
            ran("stopped-today", 0.5, 0.4, StopEvidence::Asked),
            // It crashed unused: what counts is its start.
            ran("crashed-today", 3.0, 0.5, StopEvidence::NotAsked),
            ran("last-week", 6.0, 5.0, StopEvidence::Asked),
            ran("last-month", 29.0, 28.0, StopEvidence::Asked),
            ran("long-ago", 40.0, 31.0, StopEvidence::Asked),
        ];
        for fact in facts.iter().flatten() {
            let event = store::event_of(&"hub".into(), &"poll".into(), fact);
            intake.event(&event).unwrap();
        }
        intake.event(&login("hub", "only-logged-in", 2.0)).unwrap();
        intake.event(&login("other", "elsewhere", 0.1)).unwrap();
        let servers = Dated {
            value: vec![runs("idle", 20.0, 8.0), runs("busy", 20.0, 0.1)],
            at: now(),
        };
        intake.present(PresentChange::Servers(servers, StopCredit::default()));
        keeper.take(intake).await.unwrap();
        keeper.flush().await.unwrap();
        let engine = Engine::new(EngineSettings::new(folder.path().join("tmp")));
        let counted = count(&store, &engine, "hub", now()).await.unwrap();
        let lines = counted.iter().map(|it| {
            let n_users = it.n_users;
            format!("{} {} {n_users}", it.definition, it.period)
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
        active 24h 2
        active 7d 5
        active 30d 7
        started 24h 4
        started 7d 5
        started 30d 6
        ");
    }

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let counted = read("definition,24h,7d,30d\nactive,1,2,3\nstarted,4,5,6\n").unwrap();
        let lines = counted.iter().map(|it| {
            let n_users = it.n_users;
            format!("{} {} {n_users}", it.definition, it.period)
        });
        let expected =
            "active 24h 1, active 7d 2, active 30d 3, started 24h 4, started 7d 5, started 30d 6";
        assert_eq!(lines.collect::<Vec<_>>().join(", "), expected);
        assert!(read("head\nactive,1,2\n").is_err());
        assert!(read("head\nodd,1,2,3\n").is_err());
    }
}
