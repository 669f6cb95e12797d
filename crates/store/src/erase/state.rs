//! The part of an erasure that happens in `state.db`: all of it in one transaction, before the
//! history is touched, so that nothing comes back while it is.
//!
//! What runs or belongs together now is cut in two. The pseudonym's servers end when they were last
//! seen and its memberships end now; if the hub still tells of the name, that is a new person, whose
//! servers and memberships begin a microsecond later. The cut tells anybody who compares both
//! moments who the pseudonym was: to leave no trace, remove the person from the hub first.

use super::person::{Person, Whose};
use super::rows::Cleaner;
use super::tallies;
use crate::StateError;
use crate::derive::{self, Hub, user_day_id};
use crate::state::facts::{self, KeyedFact};
use crate::state::jobs::Job;
use crate::state::spool::{self, Intake, Position};
use crate::state::tombstones::{self, Tombstones, begin_after};
use crate::state::{
    erasure_requests, forget_setting, keep_setting, present, setting, settings, shares,
};
use crate::tables::usage::{ENDED_METERS, METERS, OPEN_HOURS};
use crate::tables::{Audit, Membership, RowId, RowKind, TABLES, TableDef, UserDay};
use jiff::Timestamp;
use model::diff::Running;
use model::fact::{Fact, StopEvidence, Watch, What};
use model::names::{GroupName, UserName};
use model::session::{self, Recorded};
use rusqlite::{Connection, params};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Takes the name out of `state.db` and refuses older rows from now on; gives the pseudonym and
/// the number of rows that waited.
pub(super) fn erase(
    connection: &Connection,
    hub: &Hub,
    name: &UserName,
    now: Timestamp,
) -> Result<(UserName, usize), StateError> {
    // Rows and tombstones hold whole microseconds.
    let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    let pseudonym = pseudonym(connection, &hub.name, name)?;
    let person = Person::new(name, pseudonym.clone());
    let running = end_servers(connection, hub, name, now)?;
    while derive::derive(connection, hub, now)? > 0 {}
    while derive::recompute_days(connection, hub)? > 0 {}
    let memberships = end_memberships(connection, hub, &person, now)?;
    let mut n_rows = 0;
    for def in TABLES {
        n_rows += clean_spool(connection, hub, def, &person, now)?;
    }
    clean_facts(connection, hub, &person)?;
    clean_recorded(connection, hub, &person)?;
    clean_recorded_days(connection, hub, &person)?;
    n_rows += tallies::clean(connection, hub, &person)?;
    n_rows += clean_shares(connection, hub, &person)?;
    n_rows += usize::from(erasure_requests::withdraw(connection, &hub.name, name)?);
    forget_imports(connection, hub, name)?;
    forget_meters(connection, hub, name)?;
    for source in [OPEN_HOURS, METERS] {
        forget_usage(connection, hub, name, source)?;
    }
    tombstones::set(connection, &hub.name, name, now)?;
    begin_anew(connection, hub, name, &running, &memberships, now)?;
    audit(connection, hub, &pseudonym, now)?;
    Ok((pseudonym, n_rows))
}

/// Who makes or ends a share has no pseudonym: nothing is counted by it. A share whose question names the
/// person shows nothing any more.
fn clean_shares(connection: &Connection, hub: &Hub, person: &Person) -> Result<usize, StateError> {
    const NOBODY: &str = "erased";
    let mut n_rows = shares::rename(connection, &hub.name, person.name(), NOBODY)?;
    for share in shares::all(connection, &hub.name)? {
        let without = person.without_in_json(&share.question, Whose::Other);
        if without.is_some() {
            shares::forget(connection, &hub.name, &share.id)?;
            n_rows += 1;
        }
    }
    Ok(n_rows)
}

/// Where files lay whose path names the person. If one is imported again it is read again, and what
/// is known counts once.
fn forget_imports(connection: &Connection, hub: &Hub, name: &UserName) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "delete from positions
             where hub = ?1 and source like 'import %' and instr(source, ?2) > 0",
        )?
        .execute(params![hub.name, name.as_str()])?;
    Ok(())
}

/// What servers of the person used that ended.
fn forget_meters(connection: &Connection, hub: &Hub, name: &UserName) -> Result<(), StateError> {
    connection
        .prepare_cached("delete from positions where hub = ?1 and source = ?2")?
        .execute(params![hub.name, format!("{ENDED_METERS}{name}")])?;
    Ok(())
}

/// What the person used in hours that are not over, and since servers started that run. A service that
/// is running still knows it, and forgets it with the hour, whose row the tombstone refuses, and with
/// the server.
fn forget_usage(
    connection: &Connection,
    hub: &Hub,
    name: &UserName,
    source: &str,
) -> Result<(), StateError> {
    let Some(kept) = spool::position(connection, &hub.name, source)? else {
        return Ok(());
    };
    let used: Option<Vec<serde_json::Value>> = serde_json::from_str(&kept).ok();
    let others = used.into_iter().flatten();
    let others = others.filter(|used| used["account"]["user"] != *name.as_str());
    let value = serde_json::Value::Array(others.collect()).to_string();
    let mut intake = Intake::default();
    intake.position(Position {
        source: source.to_owned(),
        value,
    });
    let now = Timestamp::UNIX_EPOCH;
    intake.write(connection, hub, now)?;
    Ok(())
}

/// An erasure that a crash cut short goes on under the same pseudonym. It is remembered under the
/// digest of the name until the erasure is done.
fn pseudonym(connection: &Connection, hub: &str, name: &UserName) -> Result<UserName, StateError> {
    let remembered = erasing(connection, hub, name)?;
    if let Some(pseudonym) = setting(connection, &remembered)? {
        return Ok(UserName::new(pseudonym));
    }
    let pseudonym = format!("erased-{:08x}", rand::random::<u32>());
    keep_setting(connection, &remembered, &pseudonym)?;
    Ok(UserName::new(pseudonym))
}

fn erasing(connection: &Connection, hub: &str, name: &UserName) -> Result<String, StateError> {
    let digest = tombstones::digest_of(connection, name)?;
    Ok(settings::erasing(hub, &digest))
}

/// Ends what runs when it was last seen, and nobody knows why; gives what runs.
fn end_servers(
    connection: &Connection,
    hub: &Hub,
    name: &UserName,
    now: Timestamp,
) -> Result<Vec<Running>, StateError> {
    let mut running = present::read_servers(connection, &hub.name)?;
    running.retain(|running| running.key.user == *name);
    let poll: Arc<str> = "poll".into();
    let mut intake = Intake::default();
    for server in &running {
        let facts = facts::of_key(connection, &hub.name, &server.key)?;
        let is_open = session::sessions(&facts)
            .last()
            .is_some_and(|last| last.end.is_none());
        if !is_open {
            continue;
        }
        let gone = What::Gone {
            started: Some(server.started),
            last_seen: server.last_seen,
            watch: Watch::Unwatched,
            hub_restarted: None,
            stop_counted: StopEvidence::Unknown,
        };
        let gone = fact(server, now, gone);
        for fact in server.activity(now).into_iter().chain([gone]) {
            intake.event(&facts::event_of(&hub.name, &poll, &fact))?;
        }
    }
    intake.write(connection, hub, now)?;
    Ok(running)
}

fn fact(server: &Running, at: Timestamp, what: What) -> KeyedFact {
    KeyedFact {
        key: server.key.clone(),
        fact: Fact { at, what },
    }
}

/// The person leaves all groups, as far as the hub has told of them; gives which.
fn end_memberships(
    connection: &Connection,
    hub: &Hub,
    person: &Person,
    now: Timestamp,
) -> Result<Vec<GroupName>, StateError> {
    let mut select = connection
        .prepare_cached("select grp from present_members where hub = ?1 and user = ?2")?;
    let groups = select.query_map([&*hub.name, person.name().as_str()], |row| {
        row.get::<_, String>(0)
    })?;
    let groups: Vec<GroupName> = groups
        .map(|group| group.map(GroupName::new))
        .collect::<Result<_, _>>()?;
    let mut intake = Intake::default();
    for group in &groups {
        let left = membership(hub, person.pseudonym(), group, now, "left");
        intake.row(&left, Some(&left.user))?;
    }
    intake.write(connection, hub, now)?;
    Ok(groups)
}

fn membership(
    hub: &Hub,
    user: &UserName,
    group: &GroupName,
    at: Timestamp,
    change: &str,
) -> Membership {
    Membership {
        id: RowId::random(),
        hub: hub.name.clone(),
        user: user.clone(),
        group: group.clone(),
        at,
        not_before: Some(at),
        change: change.into(),
        reason: Some("person erased".into()),
    }
}

/// What the hub still says is news of a new person.
fn begin_anew(
    connection: &Connection,
    hub: &Hub,
    name: &UserName,
    running: &[Running],
    memberships: &[GroupName],
    now: Timestamp,
) -> Result<(), StateError> {
    let at = begin_after(now);
    let poll: Arc<str> = "poll".into();
    let mut intake = Intake::default();
    for server in running {
        let seen = What::Seen {
            started: at,
            options: server.options.clone(),
            image: server.image.clone(),
        };
        intake.event(&facts::event_of(&hub.name, &poll, &fact(server, at, seen)))?;
    }
    for group in memberships {
        let joined = membership(hub, name, group, at, "joined");
        intake.row(&joined, Some(name))?;
    }
    intake.write(connection, hub, now)?;
    if running.is_empty() {
        return Ok(());
    }
    let tombstones = Tombstones::of(connection, &hub.name)?;
    let servers = present::read_servers(connection, &hub.name)?;
    let servers = servers
        .iter()
        .map(|server| Cow::Owned(tombstones.present(server).into_owned()));
    present::write_servers(connection, &hub.name, servers)
}

/// That somebody was erased stays known, and under which pseudonym. An erasure that goes on after a
/// crash is one erasure.
fn audit(
    connection: &Connection,
    hub: &Hub,
    pseudonym: &UserName,
    now: Timestamp,
) -> Result<(), StateError> {
    let row = Audit {
        id: RowId::of(&["erasure", &hub.name, pseudonym.as_str()]),
        hub: Arc::clone(&hub.name),
        at: now,
        viewer: "command line".into(),
        what: serde_json::json!({"erased": pseudonym.as_str()})
            .to_string()
            .into(),
    };
    let mut intake = Intake::default();
    intake.row(&row, None)?;
    intake.write(connection, hub, now)?;
    Ok(())
}

/// Rows that wait.
fn clean_spool(
    connection: &Connection,
    hub: &Hub,
    def: &'static TableDef,
    person: &Person,
    now: Timestamp,
) -> Result<usize, StateError> {
    let mut cleaner = Cleaner::new(def, &hub.name, person);
    let mut select = connection
        .prepare_cached("select seq, unsure, row from spool where tbl = ?1 and hub = ?2")?;
    let mut rows = select.query([def.name, &hub.name])?;
    let mut changed: Vec<(i64, Option<String>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, is_unsure): (i64, bool) = (row.get(0)?, row.get(1)?);
        let Some(line) = cleaner.line(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?
        else {
            continue;
        };
        // Whether the history has it could only be told by its id, which is no more. Had it come a
        // moment later, the row would have been refused.
        let is_refused = line.whose == Whose::Own && def.kind == RowKind::Final && is_unsure;
        changed.push((seq, (!is_refused).then_some(line.text)));
    }
    for (seq, line) in changed {
        match line {
            Some(line) => connection
                .prepare_cached(
                    "update spool set row = ?4 where tbl = ?1 and hub = ?2 and seq = ?3",
                )?
                .execute(params![def.name, hub.name, seq, line])?,
            None => connection
                .prepare_cached("delete from spool where tbl = ?1 and hub = ?2 and seq = ?3")?
                .execute(params![def.name, hub.name, seq])?,
        };
    }
    refuse_ids(connection, &hub.name, def, &cleaner.refused_ids, now)?;
    Ok(cleaner.n_rows)
}

/// Ids are made from names and change with them: what only they would have kept out is refused.
pub(super) fn refuse_ids(
    connection: &Connection,
    hub: &str,
    def: &TableDef,
    ids: &BTreeSet<String>,
    now: Timestamp,
) -> Result<(), StateError> {
    for id in ids {
        tombstones::set_row(connection, hub, def.name, id, now)?;
    }
    Ok(())
}

/// The person's facts are no longer needed, since no news of them is taken; those of others may
/// hold the name in what was chosen.
fn clean_facts(connection: &Connection, hub: &Hub, person: &Person) -> Result<(), StateError> {
    for table in ["facts", "dirty", "dirty_days"] {
        connection
            .prepare_cached(&format!("delete from {table} where hub = ?1 and user = ?2"))?
            .execute([&*hub.name, person.name().as_str()])?;
    }
    let mut select =
        connection.prepare_cached("select user, server, at, fact from facts where hub = ?1")?;
    let mut rows = select.query([&*hub.name])?;
    let mut cleaned: Vec<(String, String, i64, String, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(3)?;
        if let Some(clean) = person.without_in_fact(&text, Whose::Other) {
            cleaned.push((row.get(0)?, row.get(1)?, row.get(2)?, text, clean));
        }
    }
    let mut update = connection.prepare_cached(
        "update or replace facts set fact = ?6
         where hub = ?1 and user = ?2 and server = ?3 and at = ?4 and fact = ?5",
    )?;
    for (user, server, at, text, clean) in cleaned {
        update.execute(params![hub.name, user, server, at, text, clean])?;
    }
    Ok(())
}

/// Sessions of days that are not closed yet go on counting, under the pseudonym.
fn clean_recorded(connection: &Connection, hub: &Hub, person: &Person) -> Result<(), StateError> {
    let mut select = connection
        .prepare_cached("select user, server, started, row from recorded where hub = ?1")?;
    let mut rows = select.query([&*hub.name])?;
    let mut cleaned: Vec<(String, String, i64, Whose, Recorded)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (user, text): (String, String) = (row.get(0)?, row.get(3)?);
        let whose = if person.is(&user) {
            Whose::Own
        } else {
            Whose::Other
        };
        let mut recorded: Recorded = serde_json::from_str(&text)?;
        let chosen = &mut recorded.session.options;
        let without = chosen
            .as_deref()
            .and_then(|options| person.without_in_options(options, whose));
        let is_changed = without.is_some() || whose == Whose::Own;
        if let Some(without) = without {
            *chosen = Some(without.into());
        }
        let image = &mut recorded.session.image;
        if let Some(without) = image
            .as_deref()
            .and_then(|image| person.without_in_choice(image, whose))
        {
            *image = Some(without.into());
        }
        if is_changed {
            cleaned.push((user, row.get(1)?, row.get(2)?, whose, recorded));
        }
    }
    let mut update = connection.prepare_cached(
        "update or replace recorded set user = ?5, server = ?6, row = ?7
         where hub = ?1 and user = ?2 and server = ?3 and started = ?4",
    )?;
    for (user, server, started, whose, recorded) in cleaned {
        let row = serde_json::to_string(&recorded)?;
        let (new_user, new_server) = match whose {
            Whose::Own => (
                person.pseudonym().as_str(),
                if person.is(&server) {
                    person.pseudonym().as_str()
                } else {
                    &server
                },
            ),
            Whose::Other => (user.as_str(), server.as_str()),
        };
        update.execute(params![
            hub.name, user, server, started, new_user, new_server, row
        ])?;
    }
    Ok(())
}

fn clean_recorded_days(
    connection: &Connection,
    hub: &Hub,
    person: &Person,
) -> Result<(), StateError> {
    let mut select = connection
        .prepare_cached("select day, row from recorded_days where hub = ?1 and user = ?2")?;
    let days = select.query_map([&*hub.name, person.name().as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let days: Vec<(String, String)> = days.collect::<Result<_, _>>()?;
    let mut update = connection.prepare_cached(
        "update recorded_days set user = ?4, row = ?5 where hub = ?1 and user = ?2 and day = ?3",
    )?;
    for (day, text) in days {
        let known = derive::read_day(&text)?;
        let pseudonym = person.pseudonym();
        let row = UserDay {
            id: user_day_id(&hub.name, pseudonym.as_str(), known.day),
            user: pseudonym.clone(),
            ..known
        };
        let text = serde_json::to_string(&row)?;
        let name = person.name().as_str();
        update.execute(params![hub.name, name, day, pseudonym.as_str(), text])?;
    }
    Ok(())
}

/// The erasure is done: nothing leads from the name to the pseudonym any more, and whoever asked
/// for it has asked for something that names nobody.
pub(super) fn finish(
    connection: &Connection,
    hub: &str,
    name: &UserName,
) -> Result<(), StateError> {
    forget_setting(connection, &erasing(connection, hub, name)?)?;
    let mut select =
        connection.prepare_cached("select id, job from jobs where hub = ?1 and ended is null")?;
    let jobs = select.query_map([hub], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let jobs: Vec<(i64, String)> = jobs.collect::<Result<_, _>>()?;
    for (id, job) in jobs {
        if matches!(serde_json::from_str(&job), Ok(Job::Erase { user }) if user == name.as_str()) {
            connection
                .prepare_cached("update jobs set job = ?2 where id = ?1")?
                .execute(params![id, serde_json::to_string(&Job::Vacuum)?])?;
        }
    }
    Ok(())
}

/// Writes the whole file anew and empties the journal; whether no reader was in the way.
pub(super) fn compact(connection: &Connection) -> Result<bool, StateError> {
    connection.execute_batch("vacuum")?;
    let is_busy: i64 =
        connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))?;
    Ok(is_busy == 0)
}
