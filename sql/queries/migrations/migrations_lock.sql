-- One migrator at a time.
select pg_advisory_xact_lock(hashtext('rowcall.migrate'))
