-- Moves open attempts to those that are over, each with its end, which was so many seconds ago, and with its launch where that has not
-- been written down before. A result that the task reported stays. Returns how many were open.
-- The series of places is for the planner: what it knows nothing of has ten rows for it, and what it finds in a table that was last
-- analyzed while it was empty one. It would compare each of 500 attempts with each of 500 ends, which takes half a second.
-- Of a series it expects a thousand, and hashes. The other statements that join arrays of a batch with its jobs or attempts have one, too.
create or replace function rowcall_internal.end_attempts(
    ids bigint[], outcomes text[], exit_codes int[], reasons text[], outputs text[], results jsonb[], external_ids text[], causes text[],
    ago float8[], launched_ago float8[], begun boolean[], log_groups text[], log_streams text[]) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    ended bigint;
begin
    -- Its runner forgets it next, and must not do so before the server can no longer forget its end.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    with over as (
        delete from rowcall_internal.attempts a
        using rows from (unnest(ids, outcomes, exit_codes, reasons, outputs, results, external_ids, causes, end_attempts.ago,
                end_attempts.launched_ago, end_attempts.begun, end_attempts.log_groups, end_attempts.log_streams),
                generate_series(1, cardinality(ids)))
            as s(id, outcome, exit_code, reason, output, result, external_id, cause, ago, launched_ago, begun, log_group, log_stream, place)
        where a.id = any (end_attempts.ids) and a.id = s.id
        returning a.*, s.outcome, s.exit_code, s.reason, s.output, s.result as printed, s.external_id as known_as, s.cause,
            s.begun, s.log_group as its_log_group, s.log_stream as its_log_stream,
            greatest(a.created_at, a.begun_at, a.started_at, clock_timestamp() - make_interval(secs => least(s.ago, 31536000))) as ended_at,
            -- Null where no launch came with the end.
            case when s.launched_ago is not null
                then clock_timestamp() - make_interval(secs => least(s.launched_ago, 31536000)) end as taken_at
    )
    insert into rowcall_internal.ended_attempts (
        id, job_id, task, source_table, row_key, number, runner, launch_key, terms_id, rendered, timeout, launch_timeout,
        heartbeat_timeout, dispatcher_id, created_at, asked_at, asked_by, launched_at, external_id, begun_at, log_group, log_stream,
        executor, started_at, heartbeat_at, progress, progress_message, report, reported_at, result, message, detail, retry,
        snooze, row_written, stop_requested, stop_cause, ended_at, outcome, cause, exit_code, reason, output)
    select id, job_id, task, source_table, row_key, number, runner, launch_key, terms_id, rendered, timeout, launch_timeout,
        heartbeat_timeout, dispatcher_id, created_at, asked_at, asked_by,
        coalesce(launched_at, case when taken_at is not null then least(greatest(taken_at, created_at), ended_at) end),
        coalesce(known_as, external_id),
        coalesce(begun_at, case when begun then least(greatest(taken_at, created_at), ended_at) end),
        coalesce(its_log_group, log_group), coalesce(its_log_stream, log_stream),
        executor, started_at, heartbeat_at, progress, progress_message, report, reported_at, coalesce(result, printed), message, detail, retry,
        snooze, row_written, stop_requested, stop_cause, ended_at, outcome, cause, exit_code, reason, output
    from over;
    get diagnostics ended = row_count;
    return ended;
end
$$;
