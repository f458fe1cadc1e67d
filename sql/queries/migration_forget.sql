-- A migration has been taken back.
delete from rowcall.migrations where version = $1
