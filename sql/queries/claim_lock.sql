-- Claims of tasks with a cap go one after the other, so that the count below cannot be overtaken.
select pg_advisory_xact_lock(hashtext('rowcall.max_running'))
