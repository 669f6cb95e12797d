-- Rows that another process hands to the one that keeps the hub, so that it knows their ids. What
-- was taken is empty and has an `outcome`, which the other process reads and deletes; `answered` is
-- when, for the case that it never does.
create table inbox (
    id integer primary key autoincrement,
    hub text not null,
    batch text not null,
    answered integer,
    outcome text
);
