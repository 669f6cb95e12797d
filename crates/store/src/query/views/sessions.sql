-- Of each session the row that counts, unless later news took the session away.
select * from stored.sessions where not withdrawn
