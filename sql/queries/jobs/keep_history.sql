-- Makes partitions for the coming days, and drops what is older than the setting.
select rowcall_internal.keep_history(make_interval(secs => $1))
