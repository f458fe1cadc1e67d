-- Why a call for many jobs or rows leaves the rest as it is: what it has done before is held while it waits, and so it waits for half a second
-- in all, less than deadlock_timeout. No other session is the victim of a deadlock with it.
create or replace function rowcall_internal.too_many_held(what text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select format('not tried: other sessions hold many of the %s before it; try again', what)
$$;
