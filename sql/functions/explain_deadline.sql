-- "in 00:04:10", or "passed" with how long ago.
create or replace function rowcall.explain_deadline(deadline timestamptz) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when deadline > now() then 'in ' || date_trunc('second', deadline - now())
        else 'passed ' || date_trunc('second', now() - deadline) || ' ago' end
$$;
