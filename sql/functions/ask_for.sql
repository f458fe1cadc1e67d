-- Makes the job of a task for a row, or has the one that is there begin anew, as a row that enters the status does; in
-- whatever status the row is, for it may be found there. Returns the job.
create or replace function rowcall.ask_for(task rowcall.parameters, row_key jsonb) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    job bigint;
    found_row record;
begin
    -- Row before job, as triggers lock them: nobody starts or ends another job of this row in the meantime.
    perform rowcall.hold_row(task.source_table, row_key);
    execute format('insert into rowcall.jobs as j (task, source_table, row_key, on_status) values ($1, $2, $3, $4) %s returning id',
        rowcall.ask_again_sql())
    into job using task.name, task.source_table, row_key, task.on_status;
    -- Only now: with the job in our hands nobody settles it, and writes to its row, behind our back.
    select * into found_row from rowcall.source_rows(task.source_table, array[row_key]);
    if not found then
        raise exception 'no row of % has the key %', task.source_table, row_key using errcode = 'P0002';
    elsif found_row.error is not null then
        raise exception '% cannot be read: %', task.source_table, found_row.error using errcode = 'RC011';
    elsif found_row.status is null then
        raise exception 'the row % of % has no status: it is null', row_key, task.source_table
            using errcode = 'RC013', hint = 'Give it one first: Rowcall writes only to rows whose status it knows.';
    end if;
    update rowcall.jobs j set left_in = nullif(found_row.status, task.on_status)
    where j.id = job and j.left_in is distinct from nullif(found_row.status, task.on_status);
    -- What an earlier job of this task came to is no longer the last word.
    update rowcall.jobs o set withheld = null
    where o.source_table = task.source_table and o.short_key = rowcall.short_key(ask_for.row_key) and o.on_status = task.on_status
      and o.withheld->>'task' = task.name;
    return job;
end
$$;
