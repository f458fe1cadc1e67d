-- SQL text: whether a row (alias n) in the status of a task (alias p) asks for that task: the condition holds, and no owner
-- comes before it. Which owner comes first is asked only where there are several: a statement that could ask it would take
-- longer to begin, also where nothing is to be asked.
create or replace function rowcall_internal.asks_sql() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select $sql$(p.condition is null or rowcall_internal.condition_holds(n.*, p.condition))
          and (coalesce(p.status_running, p.status_succeeded, p.status_failed, p.status_runner_failed) is null
              or not exists (
                  select from rowcall_internal.owners o
                  where o.source_table = p.source_table and o.on_status = p.on_status and o.name <> p.name)
              or rowcall_internal.comes_first(n.*, p.name))$sql$
$$;
