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
    entry rowcall_internal.source_tables := rowcall_internal.source_of(source);
    key text := rowcall_internal.key_sql(entry, 'n');
    made bigint;
begin
    if task is not null then
        perform rowcall_internal.task_for(task, source);
    end if;
    execute format($sql$
        insert into rowcall_internal.jobs as j (task, source_table, row_key, on_status)
        select p.name, p.source_table, %1$s, p.on_status
        from %2$s
        join rowcall.parameters p on p.source_table = $1 and p.on_status = n.%3$I::text
        where ($3 is null or p.name = $3) and %5$s %6$s
        %4$s
        where $2 is not null
    $sql$, key,
        -- By its key a row is found, however long the table.
        case when keys is null then format('%s n', source) else format('(select distinct w.key from unnest($2) as w(key)) w join %s n on %s',
            source, rowcall_internal.key_match_sql(entry, 'n', 'w.key')) end,
        entry.status_column, rowcall_internal.ask_again_sql(), rowcall_internal.asks_sql(),
        case when keys is null then format($sql$
              and not exists (select from rowcall_internal.history h
                              where h.source_table = $1 and h.row_key = %1$s and h.task = p.name
                                and (h.attempt_count > 0
                                     or h.outcome = 'CANCELLED' and h.message is distinct from rowcall_internal.unwatched()))
              -- Nor beside the job of an owner that had the row before the routes were edited.
              and not exists (
                  select from rowcall_internal.jobs other
                  where other.source_table = $1 and other.short_key = rowcall.short_key(%1$s) and other.on_status = p.on_status
                    and other.task <> p.name and other.task in (select name from rowcall_internal.owners)
                    and p.name in (select name from rowcall_internal.owners))
        $sql$, key) end) using source, keys, task;
    get diagnostics made = row_count;
    if made > 0 then
        perform rowcall_internal.notify('rowcall_control');
    end if;
    return made;
end
$$;
