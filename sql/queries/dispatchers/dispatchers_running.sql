-- The dispatchers that run, in words.
select format('%s on %s', id, host) from rowcall_internal.running_dispatchers order by id
