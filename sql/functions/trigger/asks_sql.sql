-- SQL text: whether a row (alias n) in the status of a task (alias p) asks for that task: the condition holds, and no owner
-- comes before it.
create or replace function rowcall_internal.asks_sql() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select $sql$(p.condition is null or rowcall_internal.condition_holds(n.*, p.condition))
          and not exists (
              select from rowcall_internal.owners_before b
              where b.task = p.name and (b.condition is null or rowcall_internal.condition_holds(n.*, b.condition)))$sql$
$$;
