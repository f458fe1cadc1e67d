-- "in 00:04:10", of which the last second counts whole, or "passed" with how long ago.
create or replace function rowcall_internal.explain_deadline(deadline timestamptz) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when deadline > now() then 'in ' || date_trunc('second', deadline - now() + interval '999 milliseconds')
        else 'passed ' || date_trunc('second', now() - deadline) || ' ago' end
$$;
