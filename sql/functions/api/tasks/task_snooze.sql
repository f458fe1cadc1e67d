-- Reports that the task is not ready yet: the attempt is not counted, and the job is tried again after the interval.
create or replace function rowcall.task_snooze(token text, snooze interval, reason text default null) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    mine rowcall_internal.attempts := rowcall_internal.open_attempt(token);
begin
    if snooze is null or snooze not between interval '0' and interval '1 year' then
        raise exception 'rowcall.task_snooze: % is not a time to wait', coalesce(snooze::text, 'null')
            using errcode = '22023', hint = 'The form is an interval such as ''10 minutes'', at most a year.';
    end if;
    if mine.report = 'snoozed' then
        return;
    elsif mine.report is not null then
        raise exception 'rowcall: this attempt has reported already: %', mine.report using errcode = 'RC004';
    end if;
    update rowcall_internal.attempts a
    set report = 'snoozed', reported_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
        snooze = task_snooze.snooze, message = left(task_snooze.reason, 10000)
    where a.id = mine.id;
end
$$;
