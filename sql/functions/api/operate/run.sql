-- Runs a task for one row now, whatever the row's status and the task's condition. A job that waits or is blocked
-- begins anew; a running one is followed by one more run. Returns the job.
create or replace function rowcall.run(task text, source regclass, key text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted_task constant rowcall.parameters := rowcall_internal.task_for(task, source);
    own_lock_timeout constant text := current_setting('lock_timeout');
    job bigint;
begin
    perform set_config('lock_timeout', rowcall_internal.shorter_timeout(own_lock_timeout, '5s'), true);
    job := rowcall_internal.request_job(wanted_task, rowcall.row_key(source, key));
    perform set_config('lock_timeout', own_lock_timeout, true);
    perform rowcall_internal.warn_of_start_blockers(task);
    perform rowcall_internal.notify('rowcall_control');
    return job;
exception when lock_not_available then
    raise exception 'rowcall.run: another session holds the row % of % or its job', key, source
        using errcode = '55P03', hint = 'Try again when that session''s transaction has ended.';
end
$$;

-- The same for a key of any type.
create or replace function rowcall.run(task text, source regclass, key anyelement) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    select rowcall.run(task, source, rowcall.key_text(key))
$$;

-- The same for many rows: the job of each, or what the problem with it is. A problem with one does not stop the others.
create or replace function rowcall.run(task text, source regclass, keys jsonb[])
returns table (row_key jsonb, job bigint, problem text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- A session that waits for one of these rows and holds another is not made to wait long.
set lock_timeout = '20ms'
as $$
declare
    wanted_task constant rowcall.parameters := rowcall_internal.task_for(task, source);
    held int := 0;
    began timestamptz;
    waited interval := '0';
    done jsonb[] := '{}';
begin
    for row_key in select distinct k from unnest(keys) k order by k loop
        job := null;
        problem := null;
        if waited > interval '500 ms' then
            problem := rowcall_internal.too_many_held('rows');
            return next;
            continue;
        end if;
        began := clock_timestamp();
        begin
            row_key := rowcall.row_key(source, row_key #>> '{}');
            -- Named twice, in two forms.
            continue when row_key = any (done);
            done := done || row_key;
            -- One by one: as many bytes are read at once as one row may have.
            job := rowcall_internal.request_job(wanted_task, row_key);
        exception
            when lock_not_available then
                held := held + 1;
                waited := waited + (clock_timestamp() - began);
                problem := 'another session holds the row or its job; try again';
            when others then
                problem := sqlerrm;
        end;
        if held = 10 then
            -- What was done before is held until the end.
            perform set_config('lock_timeout', '1ms', true);
        end if;
        return next;
    end loop;
    perform rowcall_internal.warn_of_start_blockers(task);
    perform rowcall_internal.notify('rowcall_control');
end
$$;
