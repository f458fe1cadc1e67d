-- Makes the job of a task for a row, whatever the row's status. A job that is there already begins anew, or is followed
-- by one more run, as when a row enters on_status. Returns the job.
create or replace function rowcall_internal.request_job(task rowcall.parameters, row_key jsonb) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    job bigint;
    found_row record;
    running record;
begin
    -- Row before job, as triggers lock them: no other session starts or ends a job of this row in the meantime.
    perform rowcall_internal.hold_row(task.source_table, row_key);
    select * into found_row from rowcall_internal.source_rows(task.source_table, array[row_key]);
    if not found then
        raise exception 'no row of % has the key %', task.source_table, row_key using errcode = 'P0002';
    elsif found_row.error is not null then
        raise exception '% cannot be read: %', task.source_table, found_row.error using errcode = 'RC011';
    elsif found_row.status is null then
        raise exception 'the row % of % has no status: it is null', row_key, task.source_table
            using errcode = 'RC013', hint = 'Give it one first: Rowcall writes only to rows whose status it knows.';
    end if;
    -- A row has one owner at a time.
    if task.name in (select name from rowcall_internal.owners) then
        select j.id, j.task into running
        from rowcall_internal.jobs j join rowcall_internal.attempts a on a.id = j.attempt_id
        where j.source_table = task.source_table and j.short_key = rowcall.short_key(request_job.row_key) and j.state = 'running' and j.task <> task.name
          and a.request->'write_back'->>'observer' = 'false'
        limit 1;
        if found then
            raise exception '% runs for the row % of % now, and owns its status', running.task, row_key, task.source_table
                using errcode = 'RC014',
                      hint = format('Ask again when job %s has ended, or first: SELECT rowcall.cancel(%1$s);', running.id);
        end if;
    end if;
    execute format('insert into rowcall_internal.jobs as j (task, source_table, row_key, on_status) values ($1, $2, $3, $4) %s returning id',
        rowcall_internal.ask_again_sql())
    into job using task.name, task.source_table, row_key, found_row.status;
    return job;
end
$$;
