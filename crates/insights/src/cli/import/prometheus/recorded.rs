//! What the history holds from others, which an import never overwrites: sessions that were observed,
//! hours with numbers of the hub's own, and who is known.

use super::covered::Span;
use crate::cli::of_store;
use crate::poll::clock::now;
use anyhow::Context as _;
use jiff::Timestamp;
use model::names::UserName;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use store::{AskError, Engine, EngineSettings, Format, Limits, Store, Value};

/// Who says so, in the events that an import makes of pods.
pub(super) const SOURCE: &str = "prometheus";

/// A history of years is read in seconds; a slow disk may take longer.
const LIMITS: Limits = Limits {
    timeout: Duration::from_mins(10),
    max_rows: usize::MAX,
};

/// Polling began with the first of these: a hub without servers gives none of the first.
const FIRST_LOOK: &str = r#"
select min("at") as "at" from (
    select min("at") as "at" from events where hub = $hub and source = 'poll'
    union all
    select min("at") as "at" from memberships where hub = $hub
    union all
    select min("at") as "at" from observations where hub = $hub and starts_with(name, 'api_')
)"#;

/// Sessions that only an earlier import tells of are no observed ones.
const SESSIONS: &str = r#"
select s."user", s.server, s.started, s.ended
from all_sessions s
where s.hub = $hub and s.started < $to and (s.ended is null or s.ended > $from)
  and not exists (
      select 1 from events e
      where e.hub = $hub and e.source = 'prometheus' and e.kind = 'server-start'
        and e."user" = s."user" and e.server = s.server and e."at" = s.started
  )"#;

const NUMBERS: &str = r#"
select distinct name, date_trunc('hour', "at") as hour
from observations
where hub = $hub and "at" >= $from and "at" < $to
  and name in ('jupyterhub_running_servers', 'jupyterhub_total_users', 'jupyterhub_active_users')"#;

const USERS: &str = r#"
select "user" from sessions where hub = $hub
union
select "user" from memberships where hub = $hub
union
select "user" from "usage" where hub = $hub"#;

/// What is in the history.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// When polling began.
    pub(super) first_look: Option<Timestamp>,
    /// Everybody who is or was known.
    pub(super) users: BTreeSet<UserName>,
    sessions: HashMap<UserName, Vec<Ran>>,
    numbers: HashSet<Hour>,
}

/// A session of a user.
#[derive(Debug)]
struct Ran {
    server: Arc<str>,
    started: Timestamp,
    /// None while it runs.
    ended: Option<Timestamp>,
}

/// An hour with values of a number.
#[derive(Debug, PartialEq, Eq, Hash, Deserialize)]
struct Hour {
    name: String,
    hour: Timestamp,
}

#[derive(Deserialize)]
struct FirstLook {
    at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct SessionLine {
    user: UserName,
    server: Arc<str>,
    started: Timestamp,
    ended: Option<Timestamp>,
}

#[derive(Deserialize)]
struct UserLine {
    user: UserName,
}

impl Recorded {
    /// Reads what concerns a time.
    pub(super) async fn read(store: &Store, hub: &str, span: Span) -> anyhow::Result<Self> {
        let asking = Asking {
            store,
            engine: Engine::new(EngineSettings::new(store.folder().temporary())),
            params: [
                ("hub", Value::Text(hub.to_owned())),
                ("from", Value::Time(span.from)),
                ("to", Value::Time(span.to)),
            ],
        };
        let first_looks: Vec<FirstLook> = asking.lines(FIRST_LOOK).await?;
        let mut recorded = Self {
            first_look: first_looks.iter().find_map(|line| line.at),
            numbers: asking.lines(NUMBERS).await?.into_iter().collect(),
            ..Self::default()
        };
        for line in asking.lines::<SessionLine>(SESSIONS).await? {
            recorded.add_session(line);
        }
        let users: Vec<UserLine> = asking.lines(USERS).await?;
        recorded
            .users
            .extend(users.into_iter().map(|line| line.user));
        let present = store.present(hub).await.map_err(of_store)?;
        if let Some(users) = present.users {
            recorded.users.extend(users.value.iter().cloned());
        }
        Ok(recorded)
    }

    fn add_session(&mut self, line: SessionLine) {
        let SessionLine {
            user,
            server,
            started,
            ended,
        } = line;
        self.sessions.entry(user).or_default().push(Ran {
            server,
            started,
            ended,
        });
    }

    /// Whether somebody saw a session of the user in that time. Of which server, matters only where
    /// servers can be told apart.
    pub(super) fn is_observed(&self, user: &UserName, server: Option<&str>, span: Span) -> bool {
        if self.first_look.is_some_and(|first| span.to > first) {
            return true;
        }
        let sessions = self.sessions.get(user).into_iter().flatten();
        let mut same = sessions.filter(|ran| server.is_none_or(|server| *ran.server == *server));
        same.any(|ran| ran.started < span.to && ran.ended.is_none_or(|ended| ended > span.from))
    }

    /// Whether the hour has values of the number that this service read.
    pub(super) fn has_number(&self, name: &str, hour: Timestamp) -> bool {
        self.numbers.contains(&Hour {
            name: name.to_owned(),
            hour,
        })
    }
}

/// Questions about one hub and time.
struct Asking<'a> {
    store: &'a Store,
    engine: Engine,
    params: [(&'static str, Value); 3],
}

impl Asking<'_> {
    async fn lines<T: DeserializeOwned>(&self, sql: &str) -> anyhow::Result<Vec<T>> {
        // Those that the query names.
        let params = self
            .params
            .iter()
            .filter(|(name, _)| sql.contains(&format!("${name}")));
        let params: Vec<_> = params.cloned().collect();
        let rows = self.store.stream(&self.engine, sql, &params, LIMITS, now());
        let rows = rows.await.map_err(|error| match error {
            AskError::Query(error) => anyhow::Error::from(error),
            AskError::Store(error) => of_store(error),
        });
        let mut text = Vec::new();
        let rows = rows.context("cannot read what the history holds already")?;
        rows.write(Format::Ndjson, &mut text).await?;
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        lines
            .map(|line| Ok(serde_json::from_slice(line)?))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use model::fact::{Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
    use store::tables::{Observation, RowId};
    use store::{Folder, Intake, KeeperSettings, event_of};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 / 3600 * 3600 + hour * 3600).unwrap()
    }

    fn span(from: i64, to: i64) -> Span {
        Span {
            from: at(from),
            to: at(to),
        }
    }

    fn ran(user: &str, server: &str, from: i64, to: i64) -> [KeyedFact; 2] {
        let fact = |at, what| KeyedFact {
            key: ServerKey {
                user: user.into(),
                server: server.into(),
            },
            fact: Fact { at, what },
        };
        let gone = What::Gone {
            started: None,
            last_seen: at(to),
            watch: Watch::Unwatched,
            hub_restarted: None,
            stop_counted: StopEvidence::Unknown,
        };
        [fact(at(from), What::Start), fact(at(to), gone)]
    }

    fn observation(name: &str, time: Timestamp) -> Observation {
        Observation {
            id: RowId::random(),
            hub: "hub".into(),
            at: time,
            name: name.into(),
            labels: "{}".into(),
            value: 1.0,
            min: None,
            max: None,
            last: None,
            n: None,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_others_recorded_is_known_and_what_an_import_did_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Folder::prepare(folder.path()).unwrap()).unwrap();
        let nothing = Recorded::read(&store, "hub", span(0, 99)).await.unwrap();
        assert_eq!((nothing.first_look, nothing.users.len()), (None, 0));
        assert!(!nothing.is_observed(&"ada".into(), None, span(0, 99)));
        let settings = KeeperSettings::new("hub".into(), TimeZone::UTC, || at(1000));
        let keeper = store.try_keep(settings).await.unwrap().unwrap();
        let mut intake = Intake::default();
        let facts = [
            ("hooks", ran("ada", "", 10, 12)),
            (SOURCE, ran("ada", "", 20, 22)),
            ("hooks", ran("zoë", "gpu", 10, 12)),
        ];
        for (source, facts) in facts {
            for fact in facts {
                let event = event_of(&"hub".into(), &source.into(), &fact);
                intake.event(&event).unwrap();
            }
        }
        let half_past = at(30) + jiff::SignedDuration::from_mins(30);
        intake
            .row(&observation("jupyterhub_running_servers", half_past), None)
            .unwrap();
        intake.row(&observation("api_users", at(40)), None).unwrap();
        keeper.take(intake).await.unwrap();
        keeper.flush().await.unwrap();
        let recorded = Recorded::read(&store, "hub", span(0, 99)).await.unwrap();
        assert_eq!(recorded.first_look, Some(at(40)));
        let users: Vec<&str> = recorded.users.iter().map(UserName::as_str).collect();
        assert_eq!(users, ["ada", "zoë"]);
        let (ada, zoe) = (UserName::from("ada"), UserName::from("zoë"));
        assert!(recorded.is_observed(&ada, None, span(11, 13)));
        assert!(recorded.is_observed(&ada, Some(""), span(9, 11)));
        assert!(!recorded.is_observed(&ada, Some("gpu"), span(9, 11)));
        assert!(recorded.is_observed(&zoe, None, span(9, 11)));
        assert!(!recorded.is_observed(&ada, None, span(12, 14)));
        assert!(!recorded.is_observed(&ada, None, span(20, 22)));
        // Polling would have seen it.
        assert!(recorded.is_observed(&ada, None, span(39, 41)));
        assert!(recorded.has_number("jupyterhub_running_servers", at(30)));
        assert!(!recorded.has_number("jupyterhub_running_servers", at(31)));
        assert!(!recorded.has_number("jupyterhub_total_users", at(30)));
    }
}
