-- New objects are PUBLIC's or nobody's until this has run.
select rowcall_internal.apply_grants()
