-- Format 6 of state.db: what tells whether a server's facts are still the same.

-- Another number whenever facts of the server come or go, whoever writes them; no row without facts.
create table fact_marks (
    hub text not null,
    user text not null,
    server text not null,
    mark integer not null,
    primary key (hub, user, server)
) without rowid;

insert into fact_marks (hub, user, server, mark)
select hub, user, server, random() from facts group by hub, user, server;

create trigger facts_come after insert on facts begin
    delete from fact_marks where hub = new.hub and user = new.user and server = new.server;
    insert into fact_marks (hub, user, server, mark) values (new.hub, new.user, new.server, random());
end;

create trigger facts_go after delete on facts begin
    delete from fact_marks where hub = old.hub and user = old.user and server = old.server;
    insert into fact_marks (hub, user, server, mark)
    select old.hub, old.user, old.server, random()
    where exists (select 1 from facts where hub = old.hub and user = old.user and server = old.server);
end;

create trigger facts_change after update on facts begin
    delete from fact_marks where hub = old.hub and user = old.user and server = old.server;
    delete from fact_marks where hub = new.hub and user = new.user and server = new.server;
    insert into fact_marks (hub, user, server, mark)
    select hub, user, server, random() from facts
    where (hub = old.hub and user = old.user and server = old.server)
        or (hub = new.hub and user = new.user and server = new.server)
    group by hub, user, server;
end;
