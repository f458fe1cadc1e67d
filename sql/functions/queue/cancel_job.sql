-- Cancels a job: its dispatcher stops a running one; any other ends at once. The row gets status_failed and the reason
-- if it is still in the running status in which an attempt left it; a row that no attempt started stays as it is.
-- Returns whether there was such a job. It waits for locks as long as its caller's lock_timeout lets it.
create or replace function rowcall_internal.cancel_job(job bigint, reason text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    why constant text := coalesce(cancel_job.reason, 'cancelled');
    mine rowcall_internal.jobs;
    left_as jsonb;
    became text;
    problem text;
begin
    select * into mine from rowcall_internal.jobs where id = job;
    if not found then
        return false;
    end if;
    left_as := rowcall_internal.running_write_back(mine);
    if mine.state <> 'running' and left_as is not null then
        -- Before the job, in the order in which the triggers lock them; write_back does not wait for rows.
        begin
            perform rowcall_internal.hold_row(mine.source_table, mine.row_key);
            -- Another session that holds the job may want the row next, and would be the victim if this waited for long.
            perform set_config('lock_timeout', rowcall_internal.shorter_timeout(current_setting('lock_timeout'), '500ms'), true);
        exception
            when lock_not_available or deadlock_detected or serialization_failure then
                raise;
            when others then
                -- The table is not what it was; write_back says how. The job is cancelled all the same.
        end;
    end if;
    select * into mine from rowcall_internal.jobs where id = job for update;
    if not found then
        return false;
    end if;
    left_as := rowcall_internal.running_write_back(mine);
    if mine.state = 'running' then
        -- Not in the attempt, which its program may hold. What the row asked for meanwhile is cancelled with it.
        update rowcall_internal.jobs j set cancel_requested = coalesce(j.cancel_requested, why),
            cancelled_by = coalesce(j.cancelled_by, session_user), run_again = false where j.id = job;
        perform rowcall_internal.notify('rowcall__stop');
        return true;
    end if;

    delete from rowcall_internal.jobs where id = job;
    if left_as is not null then
        select w.state, w.error into became, problem from rowcall_internal.write_back(
            mine.source_table, left_as->>'result_column', array[mine.row_key], array[left_as->'expected'],
            array[left_as->>'status_failed'],
            array[case when left_as->>'result_column' is not null
                then jsonb_build_object('message', why, 'outcome', 'CANCELLED') end],
            immediate => false, tasks => array[mine.task], channels => array[left_as->>'notify_channel']) w;
        if became in ('locked', 'later') then
            raise exception 'rowcall.cancel: the row % of % cannot be written now: %', mine.row_key, mine.source_table,
                    coalesce(problem, 'another session holds it')
                using errcode = '55P03', hint = 'Try again later.';
        elsif became = 'failed' then
            raise warning 'rowcall.cancel: the row % of % could not be written: %', mine.row_key, mine.source_table, problem;
        end if;
    end if;
    insert into rowcall_internal.history (job_id, task, source_table, row_key, on_status, outcome, cause, attempt_count, message, write_back,
        created_at, cancelled_by)
    values (mine.id, mine.task, mine.source_table, mine.row_key, mine.on_status, 'CANCELLED', 'cancelled', mine.attempt_count, why,
            case became when 'failed' then 'failed: ' || problem else nullif(became, 'written') end, mine.created_at, session_user);
    return true;
end
$$;
