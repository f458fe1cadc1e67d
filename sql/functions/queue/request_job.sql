-- Makes the job of a task for a row, whatever the row's status. A job that is there already begins anew, or is followed
-- by one more run, as when a row enters on_status. Returns the job.
create or replace function rowcall_internal.request_job(task rowcall.parameters, row_key jsonb) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    job bigint;
    found_row record;
    other record;
begin
    -- Row before job, as triggers lock them: no other session starts or ends a job of this row in the meantime.
    perform rowcall_internal.hold_row(task.source_table, row_key);
    -- Another session that holds the job may want the row next, and would be the victim if this waited for long.
    perform set_config('lock_timeout', rowcall_internal.shorter_timeout(current_setting('lock_timeout'), '500ms'), true);
    select * into found_row from rowcall_internal.source_rows(task.source_table, array[row_key]);
    if not found then
        raise exception 'no row of % has the key %', task.source_table, row_key using errcode = 'P0002';
    elsif found_row.error = 'locked' then
        raise lock_not_available;
    elsif found_row.error is not null then
        raise exception '% cannot be read: %', task.source_table, found_row.error using errcode = 'RC011';
    elsif found_row.status is null then
        raise exception 'the row % of % has no status: it is null', row_key, task.source_table
            using errcode = 'RC013', hint = 'Give it one first: Rowcall writes only to rows whose status it knows.';
    end if;
    -- A row has one owner at a time: the one that runs, or waits to be tried again and has left its running status there.
    if task.name in (select name from rowcall_internal.owners) then
        select j.id, j.task, j.state into other
        from rowcall_internal.jobs j
        where j.source_table = task.source_table and j.short_key = rowcall.short_key(request_job.row_key) and j.task <> task.name
          and rowcall_internal.has_row(j)
        limit 1;
        if found then
            raise exception '% % for the row % of % now, and owns its status', other.task,
                    case other.state when 'running' then 'runs' else 'waits to be tried again' end, row_key, task.source_table
                using errcode = 'RC014',
                      hint = format('Ask again when job %s has ended, or first: SELECT rowcall.cancel(%1$s);', other.id);
        end if;
    end if;
    execute format('insert into rowcall_internal.jobs as j (task, source_table, row_key, short_key, on_status) '
        'values ($1, $2, $3, rowcall.short_key($3), $4) %s returning id',
        rowcall_internal.ask_again_sql())
    into job using task.name, task.source_table, row_key, found_row.status;
    return job;
end
$$;
