//! What events say about servers, kept at hand for as long as news is likely.
//!
//! The events themselves are the record; here they stand by server, so that sessions can be
//! derived again without reading the history.

use super::StateError;
use crate::tables::{Event, RowId};
use jiff::{SignedDuration, Timestamp};
pub(crate) use model::fact::KeyedFact;
use model::fact::{ActiveHour, Fact, ServerKey, StopEvidence, Watch, What};
use model::names::UserName;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// How long facts stay at hand after their session ended. Later news are looked up in the history.
pub(crate) const AT_HAND: SignedDuration = SignedDuration::from_hours(8 * 24);

/// How a fact is written in an event: the tag is the event's kind, the rest its detail.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Told {
    ServerSeen {
        started: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        options: Option<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<Arc<str>>,
    },
    ServerActivity {
        started: Timestamp,
        active_seconds_by_hour: BTreeMap<Timestamp, u32>,
    },
    ServerGone {
        started: Option<Timestamp>,
        last_seen: Timestamp,
        watch: Watch,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hub_restarted: Option<Timestamp>,
        stop_counted: StopEvidence,
    },
    ServerStart,
    ServerStop,
    ServerDied,
    SessionEnd {
        reason: Arc<str>,
    },
}

/// Why a hook of the hub says that a session ended: through the hub, or because that was being
/// stopped itself. Of one that died there is an event of its own.
const ENDED_BY_STOP: &str = "stopped";
const ENDED_BY_HUB_STOP: &str = "hub-stopping";

/// Kinds with which others than polling say when a server ran.
pub const KINDS_OF_OTHERS: [&str; 4] =
    ["server-start", "server-stop", "server-died", "session-end"];

/// The kinds of events that say something about a server.
pub(crate) const KINDS: [&str; 7] = [
    "server-seen",
    "server-activity",
    "server-gone",
    "server-start",
    "server-stop",
    "server-died",
    "session-end",
];

/// The event that tells the fact; `source` is who said so.
pub fn event_of(hub: &Arc<str>, source: &Arc<str>, told: &KeyedFact) -> Event {
    let KeyedFact { key, fact } = told;
    let kind = kind_of(&fact.what);
    let detail = detail_of(&fact.what);
    let not_before = match &fact.what {
        What::Gone { last_seen, .. } => Some(*last_seen),
        What::Seen { started, .. } => Some(*started),
        _ => None,
    };
    let ServerKey { user, server } = key;
    let at = fact.at.to_string();
    let id = ["event", hub, kind, &at, user.as_str(), server, &detail];
    Event {
        id: RowId::of(&id),
        hub: Arc::clone(hub),
        at: fact.at,
        not_before,
        kind: kind.into(),
        user: Some(user.clone()),
        server: Some(Arc::clone(server)),
        detail: Some(detail.into()),
        source: Arc::clone(source),
        schema: None,
        schema_version: None,
    }
}

/// What an event says about a server; `None` if nothing.
pub fn of_event(event: &Event) -> Option<KeyedFact> {
    if !KINDS.contains(&&*event.kind) {
        return None;
    }
    let mut told: serde_json::Map<String, Value> = match &event.detail {
        Some(detail) => serde_json::from_str(detail).ok()?,
        None => serde_json::Map::new(),
    };
    told.insert("kind".to_owned(), Value::String(event.kind.to_string()));
    let told: Told = serde_json::from_value(Value::Object(told)).ok()?;
    let key = ServerKey {
        user: event.user.clone()?,
        server: event.server.clone().unwrap_or_default(),
    };
    let fact = Fact {
        at: event.at,
        what: told.what()?,
    };
    Some(KeyedFact { key, fact })
}

fn kind_of(what: &What) -> &'static str {
    let [seen, activity, gone, start, stop, died, end] = KINDS;
    match what {
        What::Seen { .. } => seen,
        What::Activity { .. } => activity,
        What::Gone { .. } => gone,
        What::Start => start,
        What::Stop => stop,
        What::Died => died,
        What::HubStop => end,
    }
}

/// The detail as text, without a tree of values: the demo writes millions of them. Reading it back
/// is held to it by a test.
fn detail_of(what: &What) -> String {
    let mut detail = Detail(String::with_capacity(160));
    match what {
        What::Seen {
            started,
            options,
            image,
        } => {
            detail.time("started", *started);
            if let Some(options) = options {
                detail.json("options", options);
            }
            if let Some(image) = image {
                detail.text("image", image);
            }
        }
        What::Activity { started, hours } => {
            detail.time("started", *started);
            detail.hours("active_seconds_by_hour", hours);
        }
        What::Gone {
            started,
            last_seen,
            watch,
            hub_restarted,
            stop_counted,
        } => {
            if let Some(started) = started {
                detail.time("started", *started);
            }
            detail.time("last_seen", *last_seen);
            detail.text(
                "watch",
                match watch {
                    Watch::Watched => "Watched",
                    Watch::Unwatched => "Unwatched",
                },
            );
            if let Some(restarted) = hub_restarted {
                detail.time("hub_restarted", *restarted);
            }
            detail.text(
                "stop_counted",
                match stop_counted {
                    StopEvidence::Asked => "Asked",
                    StopEvidence::NotAsked => "NotAsked",
                    StopEvidence::Unknown => "Unknown",
                },
            );
        }
        What::HubStop => detail.text("reason", ENDED_BY_HUB_STOP),
        What::Start | What::Stop | What::Died => {}
    }
    detail.finish()
}

/// A JSON object as text.
struct Detail(String);

impl Detail {
    fn json(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        // Writing to a string cannot fail, here and below.
        let _ = write!(self.0, "\"{name}\":{value}");
    }

    fn text(&mut self, name: &str, value: &str) {
        let text = serde_json::to_string(value).unwrap_or_default();
        self.json(name, &text);
    }

    fn time(&mut self, name: &str, value: Timestamp) {
        self.json(name, "\"");
        let _ = write!(self.0, "{value}\"");
    }

    fn hours(&mut self, name: &str, hours: &[ActiveHour]) {
        self.json(name, "{");
        for (index, ActiveHour { hour, seconds }) in hours.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(self.0, "{comma}\"{hour}\":{seconds}");
        }
        self.0.push('}');
    }

    fn finish(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}

impl Told {
    fn of(what: &What) -> Self {
        match what.clone() {
            What::Seen {
                started,
                options,
                image,
            } => Self::ServerSeen {
                started,
                options: options.and_then(|text| serde_json::from_str(&text).ok()),
                image,
            },
            What::Activity { started, hours } => Self::ServerActivity {
                started,
                active_seconds_by_hour: hours
                    .iter()
                    .map(|hour| (hour.hour, hour.seconds))
                    .collect(),
            },
            What::Gone {
                started,
                last_seen,
                watch,
                hub_restarted,
                stop_counted,
            } => Self::ServerGone {
                started,
                last_seen,
                watch,
                hub_restarted,
                stop_counted,
            },
            What::Start => Self::ServerStart,
            What::Stop => Self::ServerStop,
            What::Died => Self::ServerDied,
            What::HubStop => Self::SessionEnd {
                reason: ENDED_BY_HUB_STOP.into(),
            },
        }
    }

    /// `None` if it says nothing about when the server ran.
    fn what(self) -> Option<What> {
        Some(match self {
            Self::ServerSeen {
                started,
                options,
                image,
            } => What::Seen {
                started,
                options: options.map(|value| value.to_string().into()),
                image,
            },
            Self::ServerActivity {
                started,
                active_seconds_by_hour,
            } => What::Activity {
                started,
                hours: active_seconds_by_hour
                    .into_iter()
                    .map(|(hour, seconds)| ActiveHour { hour, seconds })
                    .collect(),
            },
            Self::ServerGone {
                started,
                last_seen,
                watch,
                hub_restarted,
                stop_counted,
            } => What::Gone {
                started,
                last_seen,
                watch,
                hub_restarted,
                stop_counted,
            },
            Self::ServerStart => What::Start,
            Self::ServerStop => What::Stop,
            Self::ServerDied => What::Died,
            Self::SessionEnd { reason } => match &*reason {
                ENDED_BY_STOP => What::Stop,
                ENDED_BY_HUB_STOP => What::HubStop,
                _ => return None,
            },
        })
    }
}

/// Writes down a fact and that its server wants to be looked at again.
pub(super) fn write(
    connection: &Connection,
    hub: &str,
    KeyedFact { key, fact }: &KeyedFact,
    now: Timestamp,
) -> Result<(), StateError> {
    let (user, server) = (key.user.as_str(), &*key.server);
    let at_hand = now.saturating_sub(AT_HAND).unwrap_or(Timestamp::MIN);
    let is_late = fact.at < at_hand || is_of_old_run(connection, hub, key, fact, at_hand)?;
    connection
        .prepare_cached(
            "insert into dirty (hub, user, server, late) values (?1, ?2, ?3, ?4)
             on conflict do update set late = case when late in (1, 3, 4) then 1 else ?4 end",
        )?
        .execute(params![hub, user, server, is_late])?;
    if is_late {
        return Ok(());
    }
    put(connection, hub, key, fact)
}

/// Whether it is about a run that began before what is at hand and of which nothing else is: its
/// start came late, so that only the history knows of it.
fn is_of_old_run(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
    fact: &Fact,
    at_hand: Timestamp,
) -> Result<bool, StateError> {
    let began = match &fact.what {
        What::Activity { started, .. }
        | What::Gone {
            started: Some(started),
            ..
        } => *started,
        _ => return Ok(false),
    };
    if began >= at_hand {
        return Ok(false);
    }
    let is_start =
        |fact: &Fact| matches!(&fact.what, What::Seen { started, .. } if *started == began);
    Ok(!of_key(connection, hub, key)?.iter().any(is_start))
}

/// A fact as it was put.
fn kept(text: &str) -> Result<What, StateError> {
    let told: Told = serde_json::from_str(text)?;
    let nothing = || StateError::Corrupt("a fact that says nothing".to_owned());
    told.what().ok_or_else(nothing)
}

/// Keeps a fact at hand.
pub(crate) fn put(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
    fact: &Fact,
) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "insert or ignore into facts (hub, user, server, at, fact) values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            hub,
            key.user.as_str(),
            &*key.server,
            fact.at.as_microsecond(),
            serde_json::to_string(&Told::of(&fact.what))?
        ])?;
    Ok(())
}

/// All facts of the server that are at hand.
pub(crate) fn of_key(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
) -> Result<Vec<Fact>, StateError> {
    let mut select = connection.prepare_cached(
        "select at, fact from facts where hub = ?1 and user = ?2 and server = ?3",
    )?;
    let mut rows = select.query(params![hub, key.user.as_str(), &*key.server])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        facts.push(read(row.get(0)?, text)?);
    }
    Ok(facts)
}

/// As long as it is the same, the server's facts are; `None` if there are none.
pub(crate) fn mark_of_key(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
) -> Result<Option<i64>, StateError> {
    let mut select = connection.prepare_cached(
        "select mark from fact_marks where hub = ?1 and user = ?2 and server = ?3",
    )?;
    let key = params![hub, key.user.as_str(), &*key.server];
    Ok(select.query_row(key, |row| row.get(0)).optional()?)
}

fn read(at: i64, text: &str) -> Result<Fact, StateError> {
    Ok(Fact {
        at: super::time(at)?,
        what: kept(text)?,
    })
}

/// Names of a user's servers of which facts are at hand.
pub(crate) fn servers_of(
    connection: &Connection,
    hub: &str,
    user: &UserName,
) -> Result<Vec<Arc<str>>, StateError> {
    let mut select = connection
        .prepare_cached("select distinct server from facts where hub = ?1 and user = ?2")?;
    let names = select.query_map([hub, user.as_str()], |row| row.get::<_, String>(0))?;
    Ok(names
        .map(|name| name.map(Arc::from))
        .collect::<Result<_, _>>()?)
}

/// Facts of all servers that are at hand, from a time on. Looks at all of the hub's.
pub(crate) fn since(
    connection: &Connection,
    hub: &str,
    from: Timestamp,
) -> Result<Vec<KeyedFact>, StateError> {
    let mut select = connection
        .prepare_cached("select user, server, at, fact from facts where hub = ?1 and at >= ?2")?;
    let mut rows = select.query(params![hub, from.as_microsecond()])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        let (user, server): (String, String) = (row.get(0)?, row.get(1)?);
        let text: String = row.get(3)?;
        facts.push(KeyedFact {
            key: ServerKey {
                user: user.as_str().into(),
                server: server.into(),
            },
            fact: Fact {
                at: super::time(row.get(2)?)?,
                what: kept(&text)?,
            },
        });
    }
    Ok(facts)
}

/// Forgets one fact of the server.
pub(crate) fn remove(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
    fact: &Fact,
) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "delete from facts where hub = ?1 and user = ?2 and server = ?3 and at = ?4 and fact = ?5",
        )?
        .execute(params![
            hub,
            key.user.as_str(),
            &*key.server,
            fact.at.as_microsecond(),
            serde_json::to_string(&Told::of(&fact.what))?
        ])?;
    Ok(())
}

/// Servers with facts older than `before`, in order, the first `limit` after `after`.
pub(crate) fn keys_older_than(
    connection: &Connection,
    hub: &str,
    before: Timestamp,
    after: Option<&ServerKey>,
    limit: usize,
) -> Result<Vec<ServerKey>, StateError> {
    let mut select = connection.prepare_cached(
        "select distinct user, server from facts
         where hub = ?1 and at < ?2 and (?3 is null or (user, server) > (?3, ?4))
         order by user, server limit ?5",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (user, server) = after.map(|key| (key.user.as_str(), &*key.server)).unzip();
    keys(select.query(params![hub, before.as_microsecond(), user, server, limit])?)
}

/// Servers to look at again, at most `limit`.
pub(crate) fn dirty(
    connection: &Connection,
    hub: &str,
    limit: usize,
) -> Result<Vec<ServerKey>, StateError> {
    let mut select = connection
        .prepare_cached("select user, server from dirty where hub = ?1 and late = 0 limit ?2")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    keys(select.query(params![hub, limit])?)
}

/// Whether the server is one of those to look at again.
pub(crate) fn is_dirty(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
) -> Result<bool, StateError> {
    let mut select = connection.prepare_cached(
        "select exists (select 1 from dirty
         where hub = ?1 and user = ?2 and server = ?3 and late = 0)",
    )?;
    let key = params![hub, key.user.as_str(), &*key.server];
    Ok(select.query_row(key, |row| row.get(0))?)
}

/// Servers to look at again.
pub(crate) fn n_dirty(connection: &Connection, hub: &str) -> Result<usize, StateError> {
    let mut count =
        connection.prepare_cached("select count(*) from dirty where hub = ?1 and late = 0")?;
    let n_dirty: i64 = count.query_row([hub], |row| row.get(0))?;
    Ok(usize::try_from(n_dirty).unwrap_or_default())
}

/// Whether there is news that is older than what is at hand.
pub(crate) fn is_any_late(connection: &Connection, hub: &str) -> Result<bool, StateError> {
    let mut select = connection
        .prepare_cached("select exists (select 1 from dirty where hub = ?1 and late in (1, 3))")?;
    Ok(select.query_row([hub], |row| row.get(0))?)
}

/// Users with news that is older than what is at hand, about whom the history is asked from now
/// on. What comes while it is asked is late again.
pub(crate) fn begin_late(connection: &Connection, hub: &str) -> Result<Vec<UserName>, StateError> {
    connection
        .prepare_cached("update dirty set late = 3 where hub = ?1 and late = 1")?
        .execute([hub])?;
    let mut select =
        connection.prepare_cached("select distinct user from dirty where hub = ?1 and late = 3")?;
    let users = select.query_map([hub], |row| row.get::<_, String>(0))?;
    let users: Result<Vec<UserName>, _> = users.map(|user| user.map(UserName::new)).collect();
    Ok(users?)
}

/// The history has to be asked about the server.
pub(crate) fn ask_history(
    connection: &Connection,
    hub: &str,
    key: &ServerKey,
) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "insert into dirty (hub, user, server, late) values (?1, ?2, ?3, 1)
             on conflict do update set late = 1",
        )?
        .execute(params![hub, key.user.as_str(), &*key.server])?;
    Ok(())
}

/// The history was asked about the late news of these users. Their servers are looked at once
/// more: one may have waited for a look at what runs when the late news came.
pub(crate) fn clean_late<'a>(
    connection: &Connection,
    hub: &str,
    users: impl IntoIterator<Item = &'a UserName>,
    days: Days,
) -> Result<(), StateError> {
    let mut clean = connection.prepare_cached(match days {
        Days::Corrected => "update dirty set late = 0 where hub = ?1 and user = ?2 and late = 3",
        Days::NoneYet => "update dirty set late = 4 where hub = ?1 and user = ?2 and late = 3",
    })?;
    for user in users {
        clean.execute([hub, user.as_str()])?;
    }
    Ok(())
}

/// What became of the days that late news is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Days {
    /// They are closed, and right.
    Corrected,
    /// No day was ever closed: the history has to be asked again when the first is.
    NoneYet,
}

/// Days are closed for the first time, of what is at hand: ask the history about the others.
pub(crate) fn ask_again(connection: &Connection, hub: &str) -> Result<(), StateError> {
    connection
        .prepare_cached("update dirty set late = 1 where hub = ?1 and late = 4")?
        .execute([hub])?;
    Ok(())
}

/// The server waits for the next look at what runs.
pub(crate) fn wait(connection: &Connection, hub: &str, key: &ServerKey) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "update dirty set late = 2 where hub = ?1 and user = ?2 and server = ?3 and late = 0",
        )?
        .execute(params![hub, key.user.as_str(), &*key.server])?;
    Ok(())
}

/// What runs was read: look at those again who waited for it.
pub(crate) fn wake(connection: &Connection, hub: &str) -> Result<(), StateError> {
    connection
        .prepare_cached("update dirty set late = 0 where hub = ?1 and late = 2")?
        .execute([hub])?;
    Ok(())
}

/// The server was looked at, unless it was found that the history has to be asked about it.
pub(crate) fn clean(connection: &Connection, hub: &str, key: &ServerKey) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "delete from dirty where hub = ?1 and user = ?2 and server = ?3 and late = 0",
        )?
        .execute(params![hub, key.user.as_str(), &*key.server])?;
    Ok(())
}

fn keys(mut rows: rusqlite::Rows<'_>) -> Result<Vec<ServerKey>, StateError> {
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let (user, server): (String, String) = (row.get(0)?, row.get(1)?);
        keys.push(ServerKey {
            user: UserName::new(user),
            server: server.into(),
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(what: What) -> KeyedFact {
        let key = ServerKey {
            user: "ada".into(),
            server: "lab".into(),
        };
        let at = "2026-11-21T10:00:00.000001Z".parse().unwrap();
        KeyedFact {
            key,
            fact: Fact { at, what },
        }
    }

    #[test]
    fn a_mark_is_another_one_whenever_a_fact_comes_or_goes_or_changes() {
        let folder = tempfile::tempdir().unwrap();
        let connection =
            super::super::schema::open_writer(&folder.path().join("state.db")).unwrap();
        let started = |time: &str| {
            let started = time.parse().unwrap();
            let (options, image) = (None, None);
            fact(What::Seen {
                started,
                options,
                image,
            })
        };
        let (one, other) = (
            started("2026-11-21T08:00:00Z"),
            started("2026-11-21T09:00:00Z"),
        );
        let put = |it: &KeyedFact| put(&connection, "hub", &it.key, &it.fact).unwrap();
        let mark = || mark_of_key(&connection, "hub", &one.key).unwrap();
        let change = |sql: &str| connection.execute(sql, []).unwrap();
        assert_eq!(mark(), None);
        put(&one);
        let first = mark();
        assert!(first.is_some());
        put(&one);
        assert_eq!(mark(), first, "it was told before");
        put(&other);
        let second = mark();
        assert_ne!(second, first);
        assert_eq!(
            change("update facts set fact = replace(fact, '08:', '07:')"),
            2
        );
        let third = mark();
        assert_ne!(third, second);
        assert_eq!(change("delete from facts where fact like '%T07:%'"), 1);
        assert!(mark().is_some() && mark() != third);
        assert_eq!(change("delete from facts"), 1);
        assert_eq!(mark(), None);
        let n_rows = "select count(*) from fact_marks";
        let n_rows: i64 = connection.query_row(n_rows, [], |row| row.get(0)).unwrap();
        assert_eq!(n_rows, 0);
    }

    #[test]
    fn every_fact_is_an_event_and_back() {
        let t: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let whats = [
            What::Seen {
                started: t,
                options: Some(r#"{"profile":"gpu"}"#.into()),
                image: Some("img".into()),
            },
            What::Seen {
                started: t,
                options: None,
                image: None,
            },
            What::Activity {
                started: t,
                hours: vec![ActiveHour {
                    hour: t,
                    seconds: 7,
                }],
            },
            What::Gone {
                started: None,
                last_seen: t,
                watch: Watch::Unwatched,
                hub_restarted: Some(t),
                stop_counted: StopEvidence::NotAsked,
            },
            What::Start,
            What::Stop,
            What::Died,
        ];
        for what in whats {
            let fact = fact(what);
            let event = event_of(&"hub".into(), &"poll".into(), &fact);
            assert_eq!(of_event(&event), Some(fact), "{event:?}");
        }
    }

    #[test]
    fn events_of_other_kinds_and_broken_details_say_nothing() {
        let mut event = event_of(&"hub".into(), &"poll".into(), &fact(What::Start));
        assert!(of_event(&event).is_some());
        event.kind = "login".into();
        assert_eq!(of_event(&event), None);
        event.kind = "server-gone".into();
        event.detail = Some("[1]".into());
        assert_eq!(of_event(&event), None);
    }
}
