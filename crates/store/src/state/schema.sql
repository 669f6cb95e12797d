-- Format 1 of state.db. Times are microseconds since 1970, UTC. Every table is per hub, since the
-- services of two hubs may share one folder.

create table settings (
    name text primary key,
    value text not null
) without rowid;

-- Rows that are not known to be in the history. `seq` counts up for ever, per table and hub: the
-- history carries the last one it holds. `unsure`: 1 if the history has to be asked whether it has
-- the row already.
create table spool (
    tbl text not null,
    hub text not null,
    seq integer not null,
    at integer not null,
    unsure integer not null,
    row text not null,
    primary key (tbl, hub, seq)
) without rowid;

-- `given`: the last number handed out. `flushed`: the last one that is surely in the history.
create table sequences (
    tbl text not null,
    hub text not null,
    given integer not null,
    flushed integer not null default 0,
    primary key (tbl, hub)
) without rowid;

-- How far each source was read.
create table positions (
    hub text not null,
    source text not null,
    value text not null,
    primary key (hub, source)
) without rowid;

-- What sessions are derived from, for as long as news is likely.
create table facts (
    hub text not null,
    user text not null,
    server text not null,
    at integer not null,
    fact text not null,
    primary key (hub, user, server, at, fact)
) without rowid;

-- Servers with facts that were not looked at yet. `late`: 0 no, 1 older than what `facts` keeps,
-- 2 waiting for the next look at what runs, 3 the history is being asked, 4 it was asked and has to
-- be again when the first day is closed.
create table dirty (
    hub text not null,
    user text not null,
    server text not null,
    late integer not null,
    primary key (hub, user, server)
) without rowid;

-- The highest revision of each session that can still change.
create table recorded (
    hub text not null,
    user text not null,
    server text not null,
    started integer not null,
    ended integer not null,
    row text not null,
    primary key (hub, user, server, started)
) without rowid;

-- The highest revision of each closed day that can still change. `day` is a date as text.
create table recorded_days (
    hub text not null,
    user text not null,
    day text not null,
    row text not null,
    primary key (hub, user, day)
) without rowid;

create table dirty_days (
    hub text not null,
    user text not null,
    day text not null,
    primary key (hub, user, day)
) without rowid;

-- The present, as the hub last told it: parts are `groups`, `users`, `servers`.
create table present_parts (
    hub text not null,
    part text not null,
    at integer not null,
    primary key (hub, part)
) without rowid;
create table present_groups (
    hub text not null,
    name text not null,
    primary key (hub, name)
) without rowid;
create table present_members (
    hub text not null,
    grp text not null,
    user text not null,
    primary key (hub, grp, user)
) without rowid;
create table present_users (
    hub text not null,
    user text not null,
    primary key (hub, user)
) without rowid;
create table present_servers (
    hub text not null,
    user text not null,
    server text not null,
    row text not null,
    primary key (hub, user, server)
) without rowid;

-- Keyed digests of erased names: rows of that name up to `at` are refused.
create table tombstones (
    hub text not null,
    digest text not null,
    at integer not null,
    primary key (hub, digest)
) without rowid;

-- What a command line asks the running service to do.
create table jobs (
    id integer primary key,
    hub text not null,
    job text not null,
    asked integer not null,
    begun integer,
    ended integer,
    outcome text
);
