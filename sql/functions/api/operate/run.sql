-- Runs a task for one row now, whatever the row's status and the task's condition. A job that waits or is blocked
-- begins anew; a running one is followed by one more run. Returns the job.
create or replace function rowcall.run(task text, source regclass, key text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted_task rowcall.parameters := rowcall_internal.task_named(task);
    job bigint;
begin
    if wanted_task.source_table <> source then
        raise exception '% is a task of %, not of %', task, wanted_task.source_table, source
            using errcode = 'RC013', hint = 'A task runs for rows of its source_table.';
    end if;
    job := rowcall_internal.request_job(wanted_task, rowcall.row_key(source, key));
    perform rowcall_internal.warn_of_start_blockers(task);
    perform pg_notify('rowcall_control', '');
    return job;
end
$$;

-- The same for a key of any type.
create or replace function rowcall.run(task text, source regclass, key anyelement) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    select rowcall.run(task, source, rowcall.key_text(key))
$$;

-- The same for many rows. Keys without a row are passed over. Returns how many rows it found.
create or replace function rowcall.run(task text, source regclass, keys jsonb[]) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted_task rowcall.parameters := rowcall_internal.task_named(task);
    wanted jsonb[];
    one jsonb;
    asked bigint := 0;
begin
    if wanted_task.source_table <> source then
        raise exception '% is a task of %, not of %', task, wanted_task.source_table, source
            using errcode = 'RC013', hint = 'A task runs for rows of its source_table.';
    end if;
    -- In one order, so that two sessions that do this at the same time do not wait for each other in a circle.
    wanted := array(select distinct rowcall.row_key(source, k #>> '{}') as row_key from unnest(keys) k order by row_key);
    foreach one in array wanted loop
        -- One by one: as many bytes are read at once as one row may have.
        continue when not exists (select from rowcall_internal.source_rows(source, array[one]));
        perform rowcall_internal.request_job(wanted_task, one);
        asked := asked + 1;
    end loop;
    if asked < cardinality(wanted) then
        raise notice '% of % rows are not there', cardinality(wanted) - asked, cardinality(wanted);
    end if;
    perform rowcall_internal.warn_of_start_blockers(task);
    perform pg_notify('rowcall_control', '');
    return asked;
end
$$;
