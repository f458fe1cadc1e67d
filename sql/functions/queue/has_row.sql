-- Whether a job is of an owner that has its row: it runs, or waits for its next try with the row in the running status; and
-- no user has moved the row on since.
create or replace function rowcall_internal.has_row(job rowcall_internal.jobs) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    frozen jsonb;
begin
    if job.state <> 'running' then
        return coalesce(rowcall_internal.running_write_back(job)->'expected' <> '[]', false);
    end if;
    select t.terms->'write_back' into frozen from rowcall_internal.attempts a
    join rowcall_internal.terms t on t.id = a.terms_id
    where a.id = job.attempt_id;
    return frozen->>'observer' = 'false' and (job.moved_to is null or frozen->'expected' ? job.moved_to);
end
$$;
