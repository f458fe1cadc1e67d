-- The owner that keeps a task from a row: the one that rowcall_internal.asks_sql() would take before it; null if there is none, or
-- if the task is an observer.
create or replace function rowcall_internal.owner_before(task rowcall.parameters, row_data jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select o.name
    from rowcall.parameters o
    where rowcall_internal.is_owner(task) and rowcall_internal.is_owner(o)
      and o.source_table = task.source_table and o.on_status = task.on_status and o.name <> task.name
      and (not o.enabled, o.route_order, o.name collate "C") < (not task.enabled, task.route_order, task.name collate "C")
      and (o.condition is null or rowcall_internal.condition_holds(row_data, o.condition))
    order by not o.enabled, o.route_order, o.name collate "C" limit 1
$$;
