-- CREATE TRIGGER rowcall_insert AFTER INSERT ON rowcall.files REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcall_internal.on_insert_1();
-- search_path=pg_catalog, pg_temp, enable_seqscan=off, jit=off
declare
    channels text[];
    made bigint;
    cause text;
    own_lock_timeout constant text := current_setting('lock_timeout');
begin
    if false then
        return null;
    end if;
    -- The writer waits so long for a lock of ours: what holds it longer is no business of the writer's.
    if own_lock_timeout = '0' or own_lock_timeout::interval > interval '80 ms' then
        perform set_config('lock_timeout', '80ms', true);
    end if;
    begin
        -- Whether any of these rows has a task at all: much cheaper to ask than to start an INSERT for nothing.
        if exists (
            select from new_rows n
            join rowcall_internal.source_tables s on s.id = 1
            join rowcall.parameters p on p.source_table = s.relation and p.on_status = n.status::text)
        then
            with enqueued as (
                insert into rowcall_internal.jobs as j (task, source_table, row_key, on_status)
        select p.name, s.relation, pg_catalog.jsonb_build_object('id', n.id), p.on_status
        from new_rows n
        join rowcall_internal.source_tables s on s.id = 1
        join rowcall.parameters p on p.source_table = s.relation and p.on_status = n.status::text
        where (p.condition is null or rowcall_internal.condition_holds(n.*, p.condition))
          and not exists (
              select from rowcall_internal.owners_before b
              where b.task = p.name and (b.condition is null or rowcall_internal.condition_holds(n.*, b.condition)))
        on conflict on constraint one_job_per_task_and_row do update
        set run_again = j.state = 'running',
            on_status = excluded.on_status,
            state = case when j.state = 'running' then 'running' else 'pending' end,
            due_at = case when j.state = 'running' then j.due_at else now() end,
            failures = case when j.state = 'running' then j.failures else 0 end,
            runner_failures = case when j.state = 'running' then j.runner_failures else 0 end,
            -- The row as it is now says which key; what runs keeps the one under which it is counted.
            concurrency_key = case when j.state = 'running' then j.concurrency_key end,
            moved_to = case when j.state = 'running' then j.moved_to end,
            moved_at = case when j.state = 'running' then j.moved_at end,
            held_since = null, refused_by = null, reason = null
            returning j.on_status
            )
            select array_agg(distinct rowcall_internal.channel(on_status)) into strict channels from enqueued;

            if channels is not null then
                perform rowcall_internal.wake(channels);
            end if;
        end if;
    exception when others then
        begin
            cause := sqlerrm;
            perform set_config('lock_timeout', '20ms', true);
            insert into rowcall_internal.missed_rows (source_table, row_key, error)
            select s.relation, pg_catalog.jsonb_build_object('id', n.id), cause from new_rows n, rowcall_internal.source_tables s where s.id = 1;
            get diagnostics made = row_count;
            if made > 0 then
                perform rowcall_internal.wake('{rowcall_control}');
            end if;
        exception when others then
            raise warning 'rowcall: rows of % may have missed their jobs: % (and: %)', tg_relid::regclass, cause, sqlerrm
                using hint = 'After the cause is gone: SELECT rowcall.rescan(table);';
        end;
    end;
    perform set_config('lock_timeout', own_lock_timeout, true);
    return null;
end
