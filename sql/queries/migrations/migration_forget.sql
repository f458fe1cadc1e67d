-- Forgets a migration that was taken back.
delete from rowcall_internal.migrations where version = $1
