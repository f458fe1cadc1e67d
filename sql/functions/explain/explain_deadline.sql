-- How far away a deadline is: "in 00:04:10", rounded up to seconds, or "passed 00:00:05 ago".
create or replace function rowcall_internal.explain_deadline(deadline timestamptz) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when deadline > now() then 'in ' || date_trunc('second', deadline - now() + interval '999 milliseconds')
        else 'passed ' || date_trunc('second', now() - deadline) || ' ago' end
$$;
