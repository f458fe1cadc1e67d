-- The second half of rowcall.unwatch(), with the rights of the schema's owner: drops the functions written for the table, deletes the
-- table from the registry, and cancels those of its jobs that do not run.
create or replace function rowcall.forget_source(source regclass) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    entry rowcall_internal.source_tables := rowcall_internal.source_of(source);
begin
    perform rowcall_internal.drop_row_functions(entry.id);
    begin
        execute format('drop function if exists rowcall_internal.on_insert_%s()', entry.id);
        execute format('drop function if exists rowcall_internal.on_update_%s()', entry.id);
    exception when dependent_objects_still_exist then
        -- The triggers that stayed.
    end;
    delete from rowcall_internal.source_tables where relation = source;
    with ended as (
        delete from rowcall_internal.jobs j where j.source_table = source and j.state <> 'running' returning j.*
    )
    insert into rowcall_internal.history (job_id, task, source_table, row_key, on_status, outcome, cause, attempt_count, message, created_at,
        cancelled_by)
    select id, task, source_table, row_key, on_status, 'CANCELLED', 'cancelled', attempt_count, rowcall_internal.unwatched(), created_at,
        session_user
    from ended;
end
$$;
