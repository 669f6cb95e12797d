-- Format 4 of state.db: days of which usage came that `user_days` may not tell yet. `day` is a date as
-- text. `came`: how often some came, so that what comes while a day is summed is not forgotten.
create table used_days (
    hub text not null,
    day text not null,
    came integer not null,
    primary key (hub, day)
) without rowid;
