-- SQL text: whether a row (alias n) that is in the status of a route (alias r, of routes_sql.sql) asks for its task: the
-- condition holds, and no owner comes before it.
create or replace function rowcall_internal.asks_sql() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select $sql$(r.condition is null or rowcall_internal.condition_holds(n.*, r.condition))
            and (cardinality(r.before_it) = 0 or not exists (
                select from unnest(r.before_it) as b(condition)
                where b.condition is null or rowcall_internal.condition_holds(n.*, b.condition)))$sql$
$$;
