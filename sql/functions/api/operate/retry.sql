-- Runs a settled job once more, if it did not succeed, is the latest of its task and row, and left that row where it
-- still is. A job that waits for its retry is due now, and a blocked one is tried again. Returns the job: a new one, or
-- the same.
create or replace function rowcall.retry(job bigint) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    own_lock_timeout constant text := current_setting('lock_timeout');
    new_job bigint;
begin
    perform set_config('lock_timeout', rowcall_internal.shorter_timeout(own_lock_timeout, '5s'), true);
    new_job := rowcall_internal.retry_job(job);
    perform set_config('lock_timeout', own_lock_timeout, true);
    return new_job;
exception when lock_not_available then
    raise exception 'rowcall.retry: another session holds job % or its row', job
        using errcode = '55P03', hint = 'Try again when that session''s transaction has ended.';
end
$$;

-- The same for many jobs: returns the new job or the problem of each. A problem with one does not stop the others.
create or replace function rowcall.retry(jobs bigint[]) returns table (job bigint, new_job bigint, problem text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- A session that waits for one of these jobs and holds another is not made to wait long.
set lock_timeout = '20ms'
-- Not a notice for each.
set client_min_messages = 'warning'
as $$
declare
    held int := 0;
    began timestamptz;
    waited interval := '0';
begin
    for job in select distinct j from unnest(jobs) j order by j loop
        new_job := null;
        problem := null;
        if waited > interval '500 ms' then
            problem := rowcall_internal.too_many_held('jobs');
            return next;
            continue;
        end if;
        began := clock_timestamp();
        begin
            new_job := rowcall_internal.retry_job(job);
        exception
            when lock_not_available then
                held := held + 1;
                waited := waited + (clock_timestamp() - began);
                problem := 'another session holds the job or its row; try again';
            when others then
                problem := sqlerrm;
        end;
        if held = 10 then
            -- What was done before is held until the end.
            perform set_config('lock_timeout', '1ms', true);
        end if;
        return next;
    end loop;
end
$$;

-- The same for a job whose number a driver has sent as a string.
create or replace function rowcall.retry(job text) returns bigint
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    select rowcall.retry(rowcall_internal.job_number(job))
$$;
