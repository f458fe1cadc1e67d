-- The first owner that comes before a task for this row; null if there is none, as always for an observer.
create or replace function rowcall_internal.owner_before(task rowcall.parameters, row_data jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select b.owner
    from rowcall_internal.owners_before b
    where b.task = task.name and (b.condition is null or rowcall_internal.condition_holds(row_data, b.condition))
    order by not b.enabled, b.route_order, b.owner collate "C" limit 1
$$;
