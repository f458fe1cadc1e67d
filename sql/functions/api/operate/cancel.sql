-- Cancels a job: its dispatcher stops a running one; any other ends at once. The row gets status_failed and the reason
-- if it is still in the running status in which an attempt left it; a row that no attempt started stays as it is.
-- Returns whether there was such a job.
create or replace function rowcall.cancel(job bigint, reason text default 'cancelled') returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    own_lock_timeout constant text := current_setting('lock_timeout');
    done boolean;
begin
    perform set_config('lock_timeout', rowcall_internal.shorter_timeout(own_lock_timeout, '5s'), true);
    done := rowcall_internal.cancel_job(job, reason);
    perform set_config('lock_timeout', own_lock_timeout, true);
    return done;
exception when lock_not_available then
    raise exception 'rowcall.cancel: another session holds job % or its row', job
        using errcode = '55P03', hint = 'Try again when that session''s transaction has ended.';
end
$$;

-- The same for many jobs: whether each was there, or what the problem with it is. A problem with one does not stop the
-- others.
create or replace function rowcall.cancel(jobs bigint[], reason text default 'cancelled')
returns table (job bigint, cancelled boolean, problem text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- A session that waits for one of these jobs and holds another is not made to wait long.
set lock_timeout = '20ms'
as $$
declare
    held int := 0;
    began timestamptz;
    waited interval := '0';
begin
    for job in select distinct j from unnest(jobs) j order by j loop
        cancelled := false;
        problem := null;
        if waited > interval '500 ms' then
            problem := rowcall_internal.too_many_held('jobs');
            return next;
            continue;
        end if;
        began := clock_timestamp();
        begin
            cancelled := rowcall_internal.cancel_job(job, reason);
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
create or replace function rowcall.cancel(job text, reason text default 'cancelled') returns boolean
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    select rowcall.cancel(rowcall_internal.job_number(job), reason)
$$;
