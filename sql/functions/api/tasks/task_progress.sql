-- Sends a heartbeat, and progress if the task knows any: a fraction from 0 to 1 and a message.
create or replace function rowcall.task_progress(token text, fraction double precision default null, message text default null) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    mine rowcall_internal.attempts := rowcall_internal.open_attempt(token);
begin
    if fraction not between 0 and 1 then
        raise exception 'rowcall.task_progress: fraction % is not from 0 to 1', fraction using errcode = '22023';
    end if;
    update rowcall_internal.attempts a
    set heartbeat_at = clock_timestamp(),
        progress = coalesce(fraction, a.progress),
        progress_message = coalesce(left(task_progress.message, 1000), a.progress_message)
    where a.id = mine.id;
end
$$;
