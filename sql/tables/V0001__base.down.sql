-- Takes Rowcall away, rowcall.files and its rows included. Source tables of others keep their rows.
select rowcall.unwatch(relation) from rowcall_internal.source_tables;
drop view rowcall_internal.wake_lock;
drop table rowcall_internal.missed_rows, rowcall_internal.history, rowcall_internal.ended_attempts, rowcall_internal.attempts, rowcall_internal.terms, rowcall_internal.dispatchers, rowcall_internal.jobs,
    rowcall_internal.parameters_history, rowcall.parameters, rowcall.runner_defaults, rowcall_internal.source_tables,
    rowcall.files, rowcall_internal.instance cascade;
