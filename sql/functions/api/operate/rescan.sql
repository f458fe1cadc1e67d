-- Makes the jobs that triggers missed: after a restore, after a replay with triggers off, or for a table that was
-- watched late. With keys, it takes exactly these rows, as the trigger would. Without, it takes every row in the
-- on_status of a task that has neither a job, nor a run of that task in the history, nor a job there that was cancelled.
-- With a task, only that one. Without keys, it first waits a little for transactions that have written to the table before, and
-- warns if they have not ended. Returns how many jobs it made or began anew.
create or replace function rowcall.rescan(source regclass, keys jsonb[] default null, task text default null) returns bigint
language plpgsql security definer
-- The zone as for the triggers: the text of a key must not depend on the caller's.
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    made bigint;
    writers bigint;
    own_lock_timeout constant text := current_setting('lock_timeout');
begin
    perform rowcall_internal.source_of(source);
    perform set_config('lock_timeout', rowcall_internal.shorter_timeout(own_lock_timeout, '5s'), true);
    if task is not null then
        perform rowcall_internal.task_for(task, source);
    end if;
    if keys is null then
        if exists (select from rowcall.parameters p where p.source_table = source and p.updated_at >= now())
            or current_setting('transaction_isolation') <> 'read committed' then
            raise warning 'rowcall.rescan: this transaction began before the parameters of % were edited, or does not see what others commit: rows that are written meanwhile may be missed', source
                using hint = 'Commit, and call rowcall.rescan() once more in a transaction of its own, READ COMMITTED.';
        end if;
        writers := rowcall_internal.await_writers(source, interval '5 seconds');
        if writers > 0 then
            raise warning 'rowcall.rescan: % of other sessions have written to % and not ended; their rows are not looked at', 
                writers || case when writers = 1 then ' transaction' else ' transactions' end, source
                using hint = 'When they have ended, call rowcall.rescan() once more.';
        end if;
    end if;
    execute format($sql$
        insert into rowcall_internal.jobs as j (task, source_table, row_key, short_key, on_status)
        select w.task, $1, w.row_key, rowcall.short_key(w.row_key), w.on_status
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
