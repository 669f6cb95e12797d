-- Format 2 of state.db: what metrics count, which no table of the history can tell again.

-- One row per family and values of its labels. `labels`: a JSON array of the values. `whose`: which
-- of them names a user, counted from 0, if one does. `kind`: counter, gauge or histogram. `value`: of
-- a histogram the sum. `counts`: of a histogram a JSON array, how many were in each bucket alone.
create table tallies (
    hub text not null,
    family text not null,
    labels text not null,
    whose integer,
    kind text not null,
    value real not null,
    counts text,
    primary key (hub, family, labels)
) without rowid;

-- Digests of the keys of requests that were taken, for a day: one that is sent again counts once.
create table requests (
    seq integer primary key autoincrement,
    hub text not null,
    digest text not null,
    at integer not null,
    unique (hub, digest)
);
create index requests_by_time on requests (at);
