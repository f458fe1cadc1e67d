-- Whether a task has a row for itself: none of the owners that come before it has it.
create or replace function rowcall_internal.comes_first(row_item anyelement, task text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return not exists (
        select from rowcall_internal.owners_before b
        where b.task = comes_first.task and (b.condition is null or rowcall_internal.condition_holds(row_item, b.condition)));
end
$$;
