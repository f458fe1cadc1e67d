-- Notes that a migration was applied.
insert into rowcall_internal.migrations (version, name, oldest_daemon) values ($1, $2, $3)
