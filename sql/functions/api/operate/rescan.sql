-- Makes the jobs that triggers missed: after a restore, after a replay with triggers off, or for a table that was
-- watched late. With keys, it takes exactly these rows, as the trigger would. Without, it takes every row in the
-- on_status of a task that has neither a job, nor a run of that task in the history, nor a job there that was cancelled.
-- With a task, only that one. Returns how many jobs it made or began anew.
create or replace function rowcall.rescan(source regclass, keys jsonb[] default null, task text default null) returns bigint
language plpgsql security definer
-- The zone as for the triggers: the text of a key must not depend on the caller's.
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    made bigint;
    own_lock_timeout constant text := current_setting('lock_timeout');
begin
    perform rowcall_internal.source_of(source);
    perform set_config('lock_timeout', rowcall_internal.shorter_timeout(own_lock_timeout, '5s'), true);
    if task is not null then
        perform rowcall_internal.task_for(task, source);
    end if;
    execute format($sql$
        insert into rowcall_internal.jobs as j (task, source_table, row_key, on_status)
        select w.task, $1, w.row_key, w.on_status
        from (select distinct * from rowcall_internal.wanted_rows($1, $2, $3)) w
        where $2 is not null or not exists (
                select from rowcall_internal.history h
                where h.source_table = $1 and h.row_key = w.row_key and h.task = w.task
                  and (h.attempt_count > 0 or h.outcome = 'CANCELLED' and h.message is distinct from rowcall_internal.unwatched()))
            -- Nor beside the job of an owner that had the row before the routes were edited.
            and not exists (
                select from rowcall_internal.jobs other
                where other.source_table = $1 and other.short_key = rowcall.short_key(w.row_key) and other.on_status = w.on_status
                  and other.task <> w.task and other.task in (select name from rowcall_internal.owners)
                  and w.task in (select name from rowcall_internal.owners))
        %s
        where $2 is not null
    $sql$, rowcall_internal.ask_again_sql()) using source, keys, task;
    get diagnostics made = row_count;
    perform set_config('lock_timeout', own_lock_timeout, true);
    if made > 0 then
        perform rowcall_internal.notify('rowcall_control');
    end if;
    return made;
end
$$;
