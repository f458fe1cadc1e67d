-- Reports success, and writes status and result into the row in the caller's transaction: a task that stores its output
-- in the same transaction stores both or neither. Returns what became of the row: written | kept (the status is written,
-- and the result column, which holds no object, is left) | moved | deleted | locked (another session holds it; the
-- dispatcher writes it when it is free).
create or replace function rowcall.task_succeed(token text, result jsonb default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Results live in the user's row: a pointer to large output belongs there, the output does not.
    max_result constant int := 1048576;
    -- The daemon, as most programs, reads JSON of 127 levels at most.
    max_levels constant int := 100;
    mine rowcall_internal.attempts := rowcall_internal.open_attempt(token);
    write_back constant jsonb := (select t.terms->'write_back' from rowcall_internal.terms t where t.id = mine.terms_id);
    asked_again boolean;
    moved_to text;
    written text := 'locked';
    problem text;
begin
    if write_back is null then
        raise exception 'rowcall: the terms of this attempt are gone' using errcode = 'RC016', hint = 'Stop, and change nothing.';
    end if;
    if mine.report = 'succeeded' then
        return case when mine.row_written then 'written' else 'locked' end;
    elsif mine.report is not null then
        raise exception 'rowcall: this attempt has reported already: %', mine.report using errcode = 'RC004';
    end if;
    if octet_length(result::text) > max_result then
        raise exception 'rowcall.task_succeed: the result has % bytes; % are allowed',
                octet_length(result::text), max_result
            using errcode = '54000', hint = 'Store large output elsewhere, and report where it is.';
    elsif jsonb_path_exists(result, format('strict $.**{%s}', max_levels)::jsonpath, silent => true) then
        raise exception 'rowcall.task_succeed: the result has more than % levels of arrays and objects', max_levels
            using errcode = '54000', hint = 'Report it as a string, or store it elsewhere and report where it is.';
    end if;

    -- The job's row first, as the settler does: a session that holds it is asking for the row again just now.
    select j.run_again, j.moved_to into asked_again, moved_to from rowcall_internal.jobs j
    where j.id = mine.job_id and j.attempt_id = mine.id for update skip locked;
    if asked_again then
        written := 'moved';
    elsif found then
        select w.state, w.error into written, problem from rowcall_internal.write_back(
            mine.source_table, write_back->>'result_column', array[mine.row_key],
            -- A row that a user has moved on may have come to the same status again, by another task.
            array[case when moved_to is null or write_back->'expected' ? moved_to then write_back->'expected' else '[]' end],
            array[write_back->>'status_succeeded'],
            array[case when result is null then '{}' else jsonb_build_object('result', result) end],
            immediate => false, tasks => array[mine.task], channels => array[write_back->>'notify_channel'],
            observers => (write_back->>'observer')::boolean,
            external_ids => array[case when write_back->>'observer' = 'false' then mine.external_id end]) w;
        if written = 'failed' then
            raise exception 'rowcall.task_succeed: the row could not be written: %', problem using errcode = 'RC005';
        end if;
    end if;

    update rowcall_internal.attempts a
    set report = 'succeeded', progress = case when a.progress is not null then 1 end, reported_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
        result = task_succeed.result, row_written = written <> 'locked'
    where a.id = mine.id;
    return written;
end
$$;
