-- How the row of a job that does not run may stand in a running status, and what ends that: the write-back of its last
-- attempt, or, where another task on the same status started the row, of that one's, with this task's own words. Null if
-- no attempt can have left it so.
create or replace function rowcall.left_running(job rowcall.jobs) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    frozen jsonb;
    expected jsonb;
begin
    select a.request->'write_back' into frozen
    from rowcall.attempts a where a.job_id = job.id order by a.number desc, a.id desc limit 1;
    if frozen is null and job.left_in is not null then
        select a.request->'write_back' || coalesce((
                select jsonb_build_object('status_failed', p.status_failed, 'result_column', p.result_column,
                    'notify_channel', p.notify_channel)
                from rowcall.parameters p where p.name = job.task), '{}')
        into frozen
        from rowcall.history h join rowcall.attempts a on a.job_id = h.job_id
        where h.source_table = job.source_table and h.row_key = job.row_key and h.on_status = job.on_status
          and a.request->'write_back'->'expected' ? job.left_in
        order by a.id desc limit 1;
    end if;
    -- In on_status it was never started, or that is where a task without status_running leaves it.
    expected := (frozen->'expected') - job.on_status;
    return case when expected <> '[]' then frozen || jsonb_build_object('expected', expected) end;
end
$$;
