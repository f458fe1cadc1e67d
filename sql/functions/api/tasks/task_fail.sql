-- Reports that the attempt has failed. With retry, the job is tried again while it has attempts left. Without, the job
-- is over: its row gets status_failed and the message when the program has ended. The kind is 'task', or 'runner' where
-- something beside the task has failed: the attempt is RUNNER_FAILED then, and does not count against max_attempts.
create or replace function rowcall.task_fail(
    token text, message text, detail jsonb default null, retry boolean default true, kind text default 'task')
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    mine rowcall_internal.attempts := rowcall_internal.open_attempt(token);
begin
    if kind is null or kind not in ('task', 'runner') then
        raise exception 'rowcall.task_fail: kind must be task or runner, and is %', coalesce(to_json(kind)::text, 'null')
            using errcode = '22023';
    end if;
    if mine.report in ('failed', 'runner_failed') then
        return;
    elsif mine.report is not null then
        raise exception 'rowcall: this attempt has reported already: %', mine.report using errcode = 'RC004';
    end if;
    update rowcall_internal.attempts a
    set report = case kind when 'runner' then 'runner_failed' else 'failed' end, reported_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
        message = left(coalesce(task_fail.message, 'the task failed and gave no reason'), 10000),
        detail = case when octet_length(task_fail.detail::text) <= 1048576 then task_fail.detail end,
        retry = coalesce(task_fail.retry, true)
    where a.id = mine.id;
end
$$;
