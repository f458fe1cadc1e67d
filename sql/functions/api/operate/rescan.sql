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
    most_at_once constant int := 10000;
    batch record;
    made_now bigint;
    made bigint := 0;
    writers bigint;
    own_lock_timeout constant text := current_setting('lock_timeout');
begin
    perform rowcall_internal.source_of(source);
    -- Rows that are named are held while the next is waited for.
    perform set_config('lock_timeout', rowcall_internal.shorter_timeout(own_lock_timeout, case when cardinality(keys) > 1 then '500ms' else '5s' end), true);
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
    -- First the rows and then, by a look of its own for each batch, what became of them: a job that has begun and ended since its row was
    -- read is in the history by then.
    for batch in
        -- In one order: two of these at the same time make the same jobs.
        select array_agg(w.task order by w.place) as tasks, array_agg(w.row_key order by w.place) as row_keys,
            array_agg(w.on_status order by w.place) as statuses
        from (select w.*, row_number() over (order by w.row_key, w.task, w.on_status) as place
              from (select distinct * from rowcall_internal.wanted_rows(source, keys, task)) w) w
        group by (w.place - 1) / most_at_once order by (w.place - 1) / most_at_once
    loop
        if keys is not null then
            -- Another session that holds a job may want its row next, and would be the victim if this waited for long.
            perform set_config('lock_timeout', rowcall_internal.shorter_timeout(own_lock_timeout, '500ms'), true);
        end if;
        execute format($sql$
            insert into rowcall_internal.jobs as j (task, source_table, row_key, short_key, on_status)
            select w.task, $1, w.row_key, rowcall.short_key(w.row_key), w.on_status
            from unnest($2, $3, $4) with ordinality w(task, row_key, on_status, place)
            -- With a limit each is one look at an index, whatever the planner believes of the tables.
            where $5 or not coalesce(
                    (select true from rowcall_internal.jobs mine
                     where mine.source_table = $1 and mine.short_key = rowcall.short_key(w.row_key) and mine.task = w.task limit 1),
                    (select true from rowcall_internal.history h
                     where h.source_table = $1 and h.row_key = w.row_key and h.task = w.task
                       and (h.attempt_count > 0 or h.outcome = 'CANCELLED' and h.message is distinct from rowcall_internal.unwatched())
                     limit 1),
                    -- Nor beside the job of an owner that had the row before the routes were edited.
                    (select true from rowcall_internal.jobs other
                     where other.source_table = $1 and other.short_key = rowcall.short_key(w.row_key) and other.on_status = w.on_status
                       and other.task <> w.task and other.task in (select name from rowcall_internal.owners)
                       and w.task in (select name from rowcall_internal.owners) limit 1),
                    false)
            order by w.place
            %s
            where $5
        $sql$, rowcall_internal.ask_again_sql()) using source, batch.tasks, batch.row_keys, batch.statuses, keys is not null;
        get diagnostics made_now = row_count;
        made := made + made_now;
    end loop;
    perform set_config('lock_timeout', own_lock_timeout, true);
    if made > 0 then
        perform rowcall_internal.notify('rowcall_control');
    end if;
    return made;
end
$$;
