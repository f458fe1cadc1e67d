-- Runs a settled job once more, if it did not succeed, is the latest of its task and row, and left that row where it
-- still is. A job that waits for its retry is due now, and a blocked one is tried again. Returns the job: a new one, or
-- the same. It waits for locks as long as its caller's lock_timeout lets it.
create or replace function rowcall_internal.retry_job(job bigint) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    open rowcall_internal.jobs;
    past rowcall_internal.history;
    later rowcall_internal.history;
    task rowcall.parameters;
    found_row record;
    frozen jsonb;
    left_there text[];
    new_job bigint;
begin
    select * into open from rowcall_internal.jobs j where j.id = job for update;
    if found then
        if open.state = 'running' then
            raise exception 'job % runs now', job
                using errcode = 'RC014', hint = format('To start it again: SELECT rowcall.cancel(%s, ''reason''); and then retry.', job);
        end if;
        update rowcall_internal.jobs j set state = 'pending', due_at = least(due_at, now()), reason = null, refused_by = null, held_since = null, blocked_at = null where j.id = job;
        perform rowcall_internal.warn_of_start_blockers(open.task);
        perform rowcall_internal.notify('rowcall_control');
        return job;
    end if;

    select * into past from rowcall_internal.history h where h.job_id = job order by h.settled_at desc limit 1;
    if not found then
        raise exception 'no job % is known', job
            using errcode = 'P0002', hint = 'Jobs are in rowcall.jobs, and settled ones in rowcall.history while that is kept.';
    elsif past.outcome = 'SUCCEEDED' then
        raise exception 'job % has succeeded', job
            using errcode = 'RC014', hint = format('rowcall.run(%L, %L, key) runs it again.', past.task, past.source_table);
    end if;
    select * into later from rowcall_internal.history h
    where h.source_table = past.source_table and h.row_key = past.row_key and h.task = past.task
      and (h.settled_at, h.job_id) > (past.settled_at, past.job_id)
    order by h.settled_at desc, h.job_id desc limit 1;
    if found then
        raise exception 'job % of the same task and row came later, and ended as %', later.job_id, later.outcome
            using errcode = 'RC014', hint = format('rowcall.run(%L, %L, key) runs the task all the same.', past.task, past.source_table);
    end if;
    task := rowcall_internal.task_named(past.task);
    if task.source_table <> past.source_table then
        raise exception 'job % was for %, and % is a task of % now', job, past.source_table, task.name, task.source_table
            using errcode = 'RC014';
    end if;
    select * into open from rowcall_internal.jobs j
    where j.source_table = past.source_table and j.short_key = rowcall.short_key(past.row_key) and j.task = past.task;
    if found then
        raise exception 'job % of the same task and row is % already', open.id, open.state
            using errcode = 'RC014', hint = format('SELECT rowcall.explain(%L, key) shows it.', past.source_table);
    end if;
    select * into found_row from rowcall_internal.source_rows(past.source_table, array[past.row_key]);
    if not found then
        raise exception 'the row % of % is gone', past.row_key, past.source_table using errcode = 'P0002';
    elsif found_row.error = 'locked' then
        raise lock_not_available;
    elsif found_row.error is not null then
        raise exception '% cannot be read: %', past.source_table, found_row.error using errcode = 'RC011';
    end if;

    select t.terms->'write_back' into frozen from rowcall_internal.ended_attempts a
    join rowcall_internal.terms t on t.id = a.terms_id
    where a.job_id = job order by a.number desc limit 1;
    left_there := array[past.on_status, task.on_status, frozen->>'status_failed', frozen->>'status_runner_failed',
            frozen->>'status_succeeded']
        || array(select jsonb_array_elements_text(frozen->'expected'));
    -- An observer does not look at the status.
    if task.name in (select name from rowcall_internal.owners)
        and (found_row.status is null or found_row.status <> all (array_remove(left_there, null)))
    then
        raise exception 'the row % of % has moved on to %', past.row_key, past.source_table, coalesce(found_row.status, 'null')
            using errcode = 'RC014',
                  hint = format('rowcall.run(%L, %L, key) runs it all the same.', past.task, past.source_table);
    end if;
    new_job := rowcall_internal.request_job(task, past.row_key);
    perform rowcall_internal.warn_of_start_blockers(task.name);
    perform rowcall_internal.notify('rowcall_control');
    return new_job;
end
$$;
