-- Cancels a job: its dispatcher stops a running one; any other ends at once. The row gets status_failed and the reason
-- if it is still in the running status in which an attempt left it; a row that no attempt started stays as it is.
-- Returns whether there was such a job.
create or replace function rowcall.cancel(job bigint, reason text default 'cancelled') returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    why constant text := coalesce(cancel.reason, 'cancelled');
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
        perform rowcall_internal.hold_row(mine.source_table, mine.row_key);
    end if;
    select * into mine from rowcall_internal.jobs where id = job for update;
    if not found then
        return false;
    end if;
    left_as := rowcall_internal.running_write_back(mine);
    if mine.state = 'running' then
        -- Also if it is being stopped for another cause, after which it might be tried again.
        update rowcall_internal.attempts a set stop_requested = why, stop_cause = 'cancelled'
        where a.id = mine.attempt_id and a.stop_cause is distinct from 'cancelled';
        perform pg_notify('rowcall_control', '');
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
        if became = 'locked' then
            raise exception 'rowcall.cancel: another session holds the row % of %', mine.row_key, mine.source_table
                using errcode = '55P03', hint = 'Try again when that session''s transaction has ended.';
        elsif became = 'failed' then
            raise warning 'rowcall.cancel: the row % of % could not be written: %', mine.row_key, mine.source_table, problem;
        end if;
    end if;
    insert into rowcall_internal.history (job_id, task, source_table, row_key, on_status, outcome, cause, attempt_count, message, write_back,
        created_at)
    values (mine.id, mine.task, mine.source_table, mine.row_key, mine.on_status, 'CANCELLED', 'cancelled', mine.attempt_count, why,
            case became when 'failed' then 'failed: ' || problem else nullif(became, 'written') end, mine.created_at);
    return true;
end
$$;

-- The same for many jobs. Returns how many of them it found.
create or replace function rowcall.cancel(jobs bigint[], reason text default 'cancelled') returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    one bigint;
    found_jobs bigint := 0;
begin
    -- In one order, so that two sessions that do this at the same time do not wait for each other in a circle.
    for one in select distinct j from unnest(jobs) j order by j loop
        found_jobs := found_jobs + rowcall.cancel(one, reason)::int;
    end loop;
    return found_jobs;
end
$$;
