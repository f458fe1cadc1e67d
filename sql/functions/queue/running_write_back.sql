-- For a job that does not run: the write-back of its last attempt, which may have left the row in a running status. It
-- expects no status at all if a user has moved the row on since. Null if no attempt can have left the row so.
create or replace function rowcall_internal.running_write_back(job rowcall_internal.jobs) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    expected jsonb;
begin
    -- In on_status it was never started, or that is where a task without status_running leaves it.
    expected := (job.left_as->'expected') - job.on_status;
    return case when expected <> '[]' then job.left_as || jsonb_build_object('expected',
        case when coalesce(expected ? job.moved_to, true) then expected else '[]' end) end;
end
$$;
