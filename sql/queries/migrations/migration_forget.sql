-- A migration has been taken back.
delete from rowcall_internal.migrations where version = $1
