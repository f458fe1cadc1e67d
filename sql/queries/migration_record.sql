-- A migration has been applied.
insert into rowcall.migrations (version, name, oldest_daemon) values ($1, $2, $3)
