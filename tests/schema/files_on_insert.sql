-- CREATE TRIGGER rowcall_insert AFTER INSERT ON rowcall.files REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcall_internal.on_insert_1();
-- search_path=pg_catalog, pg_temp, enable_seqscan=off, jit=off, lock_timeout=80ms
#variable_conflict use_variable
declare
    source constant regclass := tg_relid;
    made bigint;
    cause text;
begin
    if false then
        return null;
    end if;
    for try in 1..2 loop
        begin
            if try = 1 then
                insert into rowcall_internal.jobs (task, source_table, row_key, short_key, on_status)
                select p.name, p.source_table, case when (pg_catalog.pg_typeof(n.id)::pg_catalog.oid < 16384) then pg_catalog.jsonb_build_object('id', n.id) else pg_catalog.jsonb_build_object('id', pg_catalog.concat(n.id)) end, pg_catalog.chr(96 + pg_catalog.length(pg_catalog.concat(n.id))) || pg_catalog.concat(n.id), p.on_status
                from new_rows n
                join rowcall.parameters p on p.source_table = source and p.on_status = case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end
                where (p.condition is null or rowcall_internal.condition_holds(n.*, p.condition))
          and (coalesce(p.status_running, p.status_succeeded, p.status_failed, p.status_runner_failed) is null
              or not exists (
                  select from rowcall_internal.owners o
                  where o.source_table = p.source_table and o.on_status = p.on_status and o.name <> p.name)
              or rowcall_internal.comes_first(n.*, p.name));
            else
                insert into rowcall_internal.jobs as j (task, source_table, row_key, short_key, on_status)
        select p.name, p.source_table, case when (pg_catalog.pg_typeof(n.id)::pg_catalog.oid < 16384) then pg_catalog.jsonb_build_object('id', n.id) else pg_catalog.jsonb_build_object('id', pg_catalog.concat(n.id)) end, pg_catalog.chr(96 + pg_catalog.length(pg_catalog.concat(n.id))) || pg_catalog.concat(n.id), p.on_status
        from new_rows n
        join rowcall.parameters p on p.source_table = source and p.on_status = case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end
        where (p.condition is null or rowcall_internal.condition_holds(n.*, p.condition))
          and (coalesce(p.status_running, p.status_succeeded, p.status_failed, p.status_runner_failed) is null
              or not exists (
                  select from rowcall_internal.owners o
                  where o.source_table = p.source_table and o.on_status = p.on_status and o.name <> p.name)
              or rowcall_internal.comes_first(n.*, p.name))
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
    ;
            end if;
            get diagnostics made = row_count;
            if made > 0 and current_setting('rowcall.wake_ups', true) is distinct from 'off' then
                begin
                    lock table rowcall_internal.wake_lock in row exclusive mode nowait;
                exception when lock_not_available then
                    perform rowcall_internal.wake(array(
                        select distinct p.on_status from new_rows n
                        join rowcall.parameters p on p.source_table = source and p.on_status = case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end));
                end;
            end if;
            return null;
        exception when others then
            continue when try = 1 and sqlstate = '23505';
            cause := sqlerrm;
            begin
                perform set_config('lock_timeout', '20ms', true);
                insert into rowcall_internal.missed_rows (source_table, row_key, error)
                select source, case when (pg_catalog.pg_typeof(n.id)::pg_catalog.oid < 16384) then pg_catalog.jsonb_build_object('id', n.id) else pg_catalog.jsonb_build_object('id', pg_catalog.concat(n.id)) end, cause from new_rows n;
                get diagnostics made = row_count;
                if made > 0 and rowcall_internal.is_asleep() then
                    perform rowcall_internal.notify('rowcall_control');
                end if;
            exception
                when insufficient_resources or system_error then
                    -- The server is in need, and so is this transaction. Committed without job and note, its rows would wait for ever.
                    raise;
                when others then
                    raise warning 'rowcall: rows of % may have missed their jobs: % (and: %)', tg_relid::regclass, cause, sqlerrm
                        using hint = 'After the cause is gone: SELECT rowcall.rescan(table);';
            end;
            return null;
        end;
    end loop;
    return null;
end
