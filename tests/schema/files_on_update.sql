-- CREATE TRIGGER rowcall_update AFTER UPDATE ON rowcall.files REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcall_internal.on_update_1();
-- search_path=pg_catalog, pg_temp, enable_seqscan=off, jit=off, lock_timeout=80ms
#variable_conflict use_variable
declare
    source constant regclass := tg_relid;
    made bigint;
    cause text;
    -- Which of our own writes this is, if it is one; rowcall_internal.write_back() says what the words mean.
    writing text := case when coalesce(current_setting('rowcall.writing', true), '') = '' then '' else rowcall_internal.own_writing() end;
    -- What other triggers of the table do on that occasion is a user's.
    by_user boolean := writing = '' or pg_trigger_depth() > 1;
begin
    if writing = 'back' and not by_user or false then
        return null;
    end if;

    <<the_work>>
    begin
        -- A row that a user mended is worth another look, whatever column the mending was in.
        if exists (
            select from rowcall_internal.jobs j where j.source_table = source and j.state = 'blocked')
        then
            with free as (
                select j.id from rowcall_internal.jobs j
                join new_rows n on j.short_key = pg_catalog.chr(96 + pg_catalog.length(pg_catalog.concat(n.id))) || pg_catalog.concat(n.id)
                where j.source_table = source and j.state = 'blocked'
                for update of j skip locked
            )
            update rowcall_internal.jobs j set state = 'pending', refused_by = null, held_since = null, reason = null
            where j.id = any (array(select id from free));
            get diagnostics made = row_count;
            if made > 0 and rowcall_internal.is_asleep() then
                perform rowcall_internal.notify('rowcall_control');
            end if;
        end if;

        made := 0;
        if (select count(*) from (select from new_rows limit 2) as few) < 2 then
            if not exists (
                select from new_rows n left join old_rows o on o.id operator(pg_catalog.=) n.id
                where o.status is distinct from n.status)
            then
                exit the_work;
            end if;
            if by_user then
                with changed as (
                    select n.* from new_rows n left join old_rows o on o.id operator(pg_catalog.=) n.id
                    where o.status is distinct from n.status
                )
                update rowcall_internal.jobs j set moved_to = case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end, moved_at = clock_timestamp(), moved_by = session_user,
                    run_again = j.run_again and j.task not in (select name from rowcall_internal.owners)
                from changed n
                where j.source_table = source and j.short_key = pg_catalog.chr(96 + pg_catalog.length(pg_catalog.concat(n.id))) || pg_catalog.concat(n.id);
            end if;
            if exists (
                select from new_rows n
                join rowcall.parameters p on p.source_table = source and p.on_status = case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end)
            then
                with changed as (
                    select n.* from new_rows n left join old_rows o on o.id operator(pg_catalog.=) n.id
                    where o.status is distinct from n.status
                )
                insert into rowcall_internal.jobs as j (task, source_table, row_key, short_key, on_status)
        select p.name, p.source_table, case when (pg_catalog.pg_typeof(n.id)::pg_catalog.oid < 16384) then pg_catalog.jsonb_build_object('id', n.id) else pg_catalog.jsonb_build_object('id', pg_catalog.concat(n.id)) end, pg_catalog.chr(96 + pg_catalog.length(pg_catalog.concat(n.id))) || pg_catalog.concat(n.id), p.on_status
        from changed n
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
                get diagnostics made = row_count;
            end if;
        elsif not by_user and not exists (
            select from rowcall.parameters p
            where p.source_table = source and p.on_status in (select case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end from new_rows n))
        then
            -- A write of ours, after which no task comes.
            exit the_work;
        else
            -- The same for many rows. The join of new and old rows must be planned for the rows at hand: a plan kept from a
            -- statement of one row compares every row of a large one with every other. Hence the dynamic statements.
            if by_user then
                execute $many$
                    with changed as (
                        select n.* from new_rows n left join old_rows o on o.id operator(pg_catalog.=) n.id
                        where o.status is distinct from n.status
                    )
                    update rowcall_internal.jobs j set moved_to = case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end, moved_at = clock_timestamp(), moved_by = session_user,
                    run_again = j.run_again and j.task not in (select name from rowcall_internal.owners)
                    from changed n
                    where j.source_table = $1 and j.short_key = pg_catalog.chr(96 + pg_catalog.length(pg_catalog.concat(n.id))) || pg_catalog.concat(n.id)
                $many$ using source;
            end if;
            execute $many$
                with changed as (
                    select n.* from new_rows n left join old_rows o on o.id operator(pg_catalog.=) n.id
                    where o.status is distinct from n.status
                )
                insert into rowcall_internal.jobs as j (task, source_table, row_key, short_key, on_status)
        select p.name, p.source_table, case when (pg_catalog.pg_typeof(n.id)::pg_catalog.oid < 16384) then pg_catalog.jsonb_build_object('id', n.id) else pg_catalog.jsonb_build_object('id', pg_catalog.concat(n.id)) end, pg_catalog.chr(96 + pg_catalog.length(pg_catalog.concat(n.id))) || pg_catalog.concat(n.id), p.on_status
        from changed n
        join rowcall.parameters p on p.source_table = $1 and p.on_status = case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end
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
    
            $many$ using source;
            get diagnostics made = row_count;
        end if;

        if made > 0 and current_setting('rowcall.wake_ups', true) is distinct from 'off' then
                begin
                    lock table rowcall_internal.wake_lock in row exclusive mode nowait;
                exception when lock_not_available then
                    perform rowcall_internal.wake(array(
                        select distinct p.on_status from new_rows n
                        join rowcall.parameters p on p.source_table = source and p.on_status = case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end));
                end;
            end if;
    exception when others then
        begin
            cause := sqlerrm;
            perform set_config('lock_timeout', '20ms', true);
            execute $many$
                insert into rowcall_internal.missed_rows (source_table, row_key, error, moved_to, moved_by)
                select $3, case when (pg_catalog.pg_typeof(n.id)::pg_catalog.oid < 16384) then pg_catalog.jsonb_build_object('id', n.id) else pg_catalog.jsonb_build_object('id', pg_catalog.concat(n.id)) end, $1, case when $2 then case when (pg_catalog.pg_typeof(n.status)::pg_catalog.oid < 16384) then n.status::text else nullif(pg_catalog.concat(n.status), '') end end, case when $2 then session_user end
                from new_rows n left join old_rows o on o.id operator(pg_catalog.=) n.id
                where o.status is distinct from n.status
            $many$ using cause, by_user, source;
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
    end the_work;
    return null;
end
