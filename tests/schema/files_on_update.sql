-- CREATE TRIGGER rowcall_update AFTER UPDATE ON rowcall.files REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcall_internal.on_update_1();
-- search_path=pg_catalog, pg_temp, enable_seqscan=off, jit=off
declare
    channels text[];
    made bigint;
    cause text;
    -- Which of our own writes this is, if it is one; rowcall_internal.write_back() says what the words mean.
    writing text := case when coalesce(current_setting('rowcall.writing', true), '') = '' then '' else rowcall_internal.own_writing() end;
    -- What other triggers of the table do on that occasion is a user's.
    by_user boolean := writing = '' or pg_trigger_depth() > 1;
    own_lock_timeout constant text := current_setting('lock_timeout');
begin
    if writing = 'back' and not by_user or false then
        return null;
    end if;

    -- The writer waits so long for a lock of ours: what holds it longer is no business of the writer's.
    if own_lock_timeout = '0' or own_lock_timeout::interval > interval '80 ms' then
        perform set_config('lock_timeout', '80ms', true);
    end if;
    <<the_work>>
    begin
        -- A row that a user mended is worth another look, whatever column the mending was in.
        if exists (
            select from rowcall_internal.jobs j join rowcall_internal.source_tables s on s.relation = j.source_table
            where s.id = 1 and j.state = 'blocked')
        then
            with free as (
                select j.id from rowcall_internal.jobs j
                join new_rows n on j.short_key = rowcall.short_key(pg_catalog.jsonb_build_object('id', n.id))
                join rowcall_internal.source_tables s on s.relation = j.source_table
                where s.id = 1 and j.state = 'blocked'
                for update of j skip locked
            )
            update rowcall_internal.jobs j set state = 'pending', refused_by = null, held_since = null, reason = null
            from free where j.id = free.id;
            get diagnostics made = row_count;
            if made > 0 then
                perform rowcall_internal.wake('{rowcall_control}');
            end if;
        end if;

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
                update rowcall_internal.jobs j set moved_to = n.status::text, moved_at = clock_timestamp(), moved_by = session_user,
                    run_again = j.run_again and j.task not in (select name from rowcall_internal.owners)
                from changed n, rowcall_internal.source_tables s
                where s.id = 1 and j.source_table = s.relation and j.short_key = rowcall.short_key(pg_catalog.jsonb_build_object('id', n.id));
            end if;
            if exists (
                select from new_rows n
                join rowcall_internal.source_tables s on s.id = 1
                join rowcall.parameters p on p.source_table = s.relation and p.on_status = n.status::text)
            then
                with changed as (
                    select n.* from new_rows n left join old_rows o on o.id operator(pg_catalog.=) n.id
                    where o.status is distinct from n.status
                ), enqueued as (
                    insert into rowcall_internal.jobs as j (task, source_table, row_key, on_status)
        select p.name, s.relation, pg_catalog.jsonb_build_object('id', n.id), p.on_status
        from changed n
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
            end if;
        elsif not by_user and not exists (
            select from rowcall_internal.source_tables s
            join rowcall.parameters p on p.source_table = s.relation
            where s.id = 1 and p.on_status in (select n.status::text from new_rows n))
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
                    update rowcall_internal.jobs j set moved_to = n.status::text, moved_at = clock_timestamp(), moved_by = session_user,
                    run_again = j.run_again and j.task not in (select name from rowcall_internal.owners)
                    from changed n, rowcall_internal.source_tables s
                    where s.id = 1 and j.source_table = s.relation and j.short_key = rowcall.short_key(pg_catalog.jsonb_build_object('id', n.id))
                $many$;
            end if;
            execute $many$
                with changed as (
                    select n.* from new_rows n left join old_rows o on o.id operator(pg_catalog.=) n.id
                    where o.status is distinct from n.status
                ), enqueued as (
                    insert into rowcall_internal.jobs as j (task, source_table, row_key, on_status)
        select p.name, s.relation, pg_catalog.jsonb_build_object('id', n.id), p.on_status
        from changed n
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
                select array_agg(distinct rowcall_internal.channel(on_status)) from enqueued
            $many$ into strict channels;
        end if;

        if channels is not null then
            perform rowcall_internal.wake(channels);
        end if;
    exception when others then
        begin
            cause := sqlerrm;
            perform set_config('lock_timeout', '20ms', true);
            execute $many$
                insert into rowcall_internal.missed_rows (source_table, row_key, error, moved_to, moved_by)
                select s.relation, pg_catalog.jsonb_build_object('id', n.id), $1, case when $2 then n.status::text end, case when $2 then session_user end
                from new_rows n left join old_rows o on o.id operator(pg_catalog.=) n.id, rowcall_internal.source_tables s
                where s.id = 1 and o.status is distinct from n.status
            $many$ using cause, by_user;
            get diagnostics made = row_count;
            if made > 0 then
                perform rowcall_internal.wake('{rowcall_control}');
            end if;
        exception when others then
            raise warning 'rowcall: rows of % may have missed their jobs: % (and: %)', tg_relid::regclass, cause, sqlerrm
                using hint = 'After the cause is gone: SELECT rowcall.rescan(table);';
        end;
    end the_work;
    perform set_config('lock_timeout', own_lock_timeout, true);
    return null;
end
