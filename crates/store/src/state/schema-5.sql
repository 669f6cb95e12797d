-- Format 5 of state.db: what people ask for on the pages.

-- Links that show one page or report to whoever has them. `digest`: SHA-256 of the link's secret, which
-- is kept nowhere. `question`: JSON, what the link shows.
create table shares (
    id text primary key,
    digest blob not null unique,
    hub text not null,
    made_by text not null,
    made_at integer not null,
    expires_at integer not null,
    revoked_at integer,
    revoked_by text,
    question text not null
) without rowid;

-- People who asked to be erased and are not yet. Who was, has no row.
create table erasure_requests (
    hub text not null,
    user text not null,
    asked_at integer not null,
    primary key (hub, user)
) without rowid;
