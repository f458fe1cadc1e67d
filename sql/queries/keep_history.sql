-- Partitions for the coming days; what is older than the setting is dropped.
select rowcall.keep_history(make_interval(secs => $1))
