-- Cancels a job: one that waits ends at once, and its row is left as it is; a running one is stopped by its
-- dispatcher, and its row gets status_failed with the reason. Returns whether there was such a job.
create or replace function rowcall.cancel(job bigint, reason text default 'cancelled') returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    mine rowcall.jobs;
begin
    select * into mine from rowcall.jobs where id = job for update;
    if not found then
        return false;
    end if;
    if mine.state = 'running' then
        update rowcall.attempts a set stop_requested = coalesce(cancel.reason, 'cancelled'), stop_outcome = 'CANCELLED'
        where a.id = mine.attempt_id and a.stop_requested is null;
        perform pg_notify('rowcall_control', '');
    else
        delete from rowcall.jobs where id = job;
        insert into rowcall.history (job_id, task, source_table, row_key, on_status, outcome, attempts, message, created)
        values (mine.id, mine.task, mine.source_table, mine.row_key, mine.on_status, 'CANCELLED', mine.attempts,
                cancel.reason, mine.created);
    end if;
    return true;
end
$$;
