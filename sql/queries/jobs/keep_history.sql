-- Partitions for the coming days; what is older than the setting is dropped.
select rowcall_internal.keep_history(make_interval(secs => $1))
