-- The row of rowcall.parameters with this name, which must be a task of this table.
create or replace function rowcall_internal.task_for(name text, source regclass) returns rowcall.parameters
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    found_task constant rowcall.parameters := rowcall_internal.task_named(name);
begin
    if found_task.source_table <> source then
        raise exception '% is a task of %, not of %', name, found_task.source_table, source
            using errcode = 'RC013', hint = 'A task runs for rows of its source_table.';
    end if;
    return found_task;
end
$$;
