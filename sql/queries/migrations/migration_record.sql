-- A migration has been applied.
insert into rowcall_internal.migrations (version, name, oldest_daemon) values ($1, $2, $3)
