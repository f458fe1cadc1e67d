-- Whether this schema knows which dispatchers run.
select to_regclass('rowcall_internal.running_dispatchers') is not null
