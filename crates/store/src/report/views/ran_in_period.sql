-- Of the sessions those that are read: where all days are open, a table of those that ran on them stands for this.
select * from ran_sessions
