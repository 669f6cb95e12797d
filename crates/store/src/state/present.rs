//! The present, as the hub last told it, so that a restart goes on where the last process ended.

use super::StateError;
use super::tombstones::Tombstones;
use jiff::Timestamp;
use model::diff::{Attendance, MembershipChange, Move, Running, StopCredit, UserChange};
use model::names::{GroupName, UserName};
use model::snapshot::{Dated, Group};
use rusqlite::{Connection, params};
use std::borrow::Cow;
use std::sync::Arc;

/// What is kept about the present; every change goes into the transaction of the rows it gives.
#[derive(Clone, Debug)]
pub enum Change {
    /// All groups were read.
    Groups(Dated<Arc<[Group]>>, Vec<MembershipChange>),
    /// All users were read.
    Users(Dated<Arc<[UserName]>>, Vec<UserChange>),
    /// All servers were read.
    Servers(Dated<Vec<Running>>, StopCredit),
}

/// The present as it was kept.
#[derive(Clone, Debug, Default)]
pub struct Present {
    /// Groups with their members, sorted.
    pub groups: Option<Dated<Arc<[Group]>>>,
    /// All users, sorted.
    pub users: Option<Dated<Arc<[UserName]>>>,
    /// Servers that ran.
    pub servers: Option<Dated<Vec<Running>>>,
    /// What the hub's counter of stops said.
    pub stops: StopCredit,
}

const GROUPS: &str = "groups";
const USERS: &str = "users";
const SERVERS: &str = "servers";

impl Change {
    pub(super) fn write(
        &self,
        connection: &Connection,
        hub: &str,
        tombstones: &Tombstones,
    ) -> Result<(), StateError> {
        match self {
            Self::Groups(groups, changes) => {
                part(connection, hub, GROUPS, groups.at)?;
                write_groups(connection, hub, &groups.value)?;
                changes
                    .iter()
                    .try_for_each(|change| write_member(connection, hub, change))
            }
            Self::Users(users, changes) => {
                part(connection, hub, USERS, users.at)?;
                changes
                    .iter()
                    .try_for_each(|change| write_user(connection, hub, change))
            }
            Self::Servers(servers, stops) => {
                part(connection, hub, SERVERS, servers.at)?;
                super::keep_setting(
                    connection,
                    &super::settings::stops(hub),
                    &serde_json::to_string(stops)?,
                )?;
                super::facts::wake(connection, hub)?;
                let servers = servers.value.iter();
                write_servers(
                    connection,
                    hub,
                    servers.map(|server| tombstones.present(server)),
                )
            }
        }
    }
}

fn part(connection: &Connection, hub: &str, part: &str, at: Timestamp) -> Result<(), StateError> {
    connection
        .prepare_cached("insert or replace into present_parts (hub, part, at) values (?1, ?2, ?3)")?
        .execute(params![hub, part, at.as_microsecond()])?;
    Ok(())
}

/// Groups exist without members too; few of them change, so that comparing is cheap.
fn write_groups(connection: &Connection, hub: &str, groups: &[Group]) -> Result<(), StateError> {
    let mut known = connection
        .prepare_cached("select name from present_groups where hub = ?1 order by name")?;
    let known: Vec<String> = known
        .query_map([hub], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let is_same = known.len() == groups.len()
        && known
            .iter()
            .zip(groups)
            .all(|(known, group)| known == group.name.as_str());
    if is_same {
        return Ok(());
    }
    connection
        .prepare_cached("delete from present_groups where hub = ?1")?
        .execute([hub])?;
    let mut insert = connection
        .prepare_cached("insert or ignore into present_groups (hub, name) values (?1, ?2)")?;
    for group in groups {
        insert.execute([hub, group.name.as_str()])?;
    }
    Ok(())
}

fn write_member(
    connection: &Connection,
    hub: &str,
    change: &MembershipChange,
) -> Result<(), StateError> {
    let sql = match change.change {
        Move::Joined => {
            "insert or ignore into present_members (hub, grp, user) values (?1, ?2, ?3)"
        }
        Move::Left => "delete from present_members where hub = ?1 and grp = ?2 and user = ?3",
    };
    connection
        .prepare_cached(sql)?
        .execute([hub, change.group.as_str(), change.user.as_str()])?;
    Ok(())
}

fn write_user(connection: &Connection, hub: &str, change: &UserChange) -> Result<(), StateError> {
    let sql = match change.change {
        Attendance::Added => "insert or ignore into present_users (hub, user) values (?1, ?2)",
        Attendance::Removed => "delete from present_users where hub = ?1 and user = ?2",
    };
    connection
        .prepare_cached(sql)?
        .execute([hub, change.user.as_str()])?;
    Ok(())
}

pub(crate) fn write_servers<'a>(
    connection: &Connection,
    hub: &str,
    servers: impl Iterator<Item = Cow<'a, Running>>,
) -> Result<(), StateError> {
    connection
        .prepare_cached("delete from present_servers where hub = ?1")?
        .execute([hub])?;
    let mut insert = connection.prepare_cached(
        "insert or replace into present_servers (hub, user, server, row) values (?1, ?2, ?3, ?4)",
    )?;
    for running in servers {
        let row = serde_json::to_string(&*running)?;
        insert.execute([hub, running.key.user.as_str(), &*running.key.server, &row])?;
    }
    Ok(())
}

impl Present {
    /// Reads everything that is kept about the hub.
    pub(crate) fn read(connection: &Connection, hub: &str) -> Result<Self, StateError> {
        let dated = |name| read_part(connection, hub, name);
        let stops = super::setting(connection, &super::settings::stops(hub))?;
        Ok(Self {
            groups: match dated(GROUPS)? {
                Some(at) => Some(Dated {
                    at,
                    value: read_groups(connection, hub)?,
                }),
                None => None,
            },
            users: match dated(USERS)? {
                Some(at) => Some(Dated {
                    at,
                    value: read_users(connection, hub)?,
                }),
                None => None,
            },
            servers: match dated(SERVERS)? {
                Some(at) => Some(Dated {
                    at,
                    value: read_servers(connection, hub)?,
                }),
                None => None,
            },
            stops: stops
                .map(|text| serde_json::from_str(&text))
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

fn read_part(
    connection: &Connection,
    hub: &str,
    part: &str,
) -> Result<Option<Timestamp>, StateError> {
    use rusqlite::OptionalExtension as _;
    let mut select =
        connection.prepare_cached("select at from present_parts where hub = ?1 and part = ?2")?;
    let at: Option<i64> = select.query_row([hub, part], |row| row.get(0)).optional()?;
    at.map(super::time).transpose()
}

fn read_groups(connection: &Connection, hub: &str) -> Result<Arc<[Group]>, StateError> {
    let mut select = connection.prepare_cached(
        "select g.name, m.user from present_groups g
         left join present_members m on m.hub = g.hub and m.grp = g.name
         where g.hub = ?1 order by g.name, m.user",
    )?;
    let mut rows = select.query([hub])?;
    let mut pool = model::names::NamePool::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut members: Vec<UserName> = Vec::new();
    let mut current: Option<String> = None;
    while let Some(row) = rows.next()? {
        let (name, user): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        if current.as_ref() != Some(&name)
            && let Some(done) = current.replace(name)
        {
            groups.push(Group::new(GroupName::new(done), members.drain(..)));
        }
        members.extend(user.map(|user| pool.user(&user)));
    }
    if let Some(done) = current {
        groups.push(Group::new(GroupName::new(done), members));
    }
    Ok(model::snapshot::sorted_groups(groups))
}

fn read_users(connection: &Connection, hub: &str) -> Result<Arc<[UserName]>, StateError> {
    let mut select =
        connection.prepare_cached("select user from present_users where hub = ?1 order by user")?;
    let users = select.query_map([hub], |row| row.get::<_, String>(0))?;
    let users: Result<Vec<UserName>, _> = users.map(|user| user.map(UserName::new)).collect();
    Ok(users?.into())
}

/// When the servers of the hub were last read.
pub(crate) fn read_at_servers(
    connection: &Connection,
    hub: &str,
) -> Result<Option<Timestamp>, StateError> {
    read_part(connection, hub, SERVERS)
}

/// What runs of one user.
pub(crate) fn servers_of(
    connection: &Connection,
    hub: &str,
    user: &UserName,
) -> Result<Vec<Running>, StateError> {
    let mut select = connection.prepare_cached(
        "select row from present_servers where hub = ?1 and user = ?2 order by server",
    )?;
    let rows = select.query_map([hub, user.as_str()], |row| row.get::<_, String>(0))?;
    let mut running = Vec::new();
    for row in rows {
        running.push(serde_json::from_str(&row?)?);
    }
    Ok(running)
}

/// The servers of the hub that ran when they were last read.
pub(crate) fn read_servers(connection: &Connection, hub: &str) -> Result<Vec<Running>, StateError> {
    let mut select = connection
        .prepare_cached("select row from present_servers where hub = ?1 order by user, server")?;
    let rows = select.query_map([hub], |row| row.get::<_, String>(0))?;
    let mut running = Vec::new();
    for row in rows {
        running.push(serde_json::from_str(&row?)?);
    }
    Ok(running)
}
