-- Takes Rowcall away, rowcall.files and its rows included. Source tables of others keep their rows.
select rowcall.unwatch(relation) from rowcall.source_tables;
drop view rowcall.sleepers;
drop table rowcall.missed_rows, rowcall.history, rowcall.attempts, rowcall.dispatchers, rowcall.jobs,
    rowcall.parameters_history, rowcall.parameters, rowcall.runner_defaults, rowcall.source_tables,
    rowcall.files, rowcall.instance cascade;
