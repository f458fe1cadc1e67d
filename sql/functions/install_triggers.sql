-- Writes the two trigger functions of a source table and puts them on it and on its partitions. They are
-- written out per table, with its key and status columns in them, because the statement is then planned once
-- and needs no dynamic SQL in the user's transaction.
--
-- Rules for that code: it runs inside a stranger's statement. It makes jobs, wakes the dispatcher, and
-- nothing else; whatever goes wrong is noted in rowcall.missed_rows and never reaches the user.
create or replace function rowcall.install_triggers(source regclass) returns void
language plpgsql
set search_path = pg_catalog
as $install$
declare
    entry rowcall.source_tables := rowcall.source_of(source);
    -- Dates and times in a key must not depend on the writer's time zone.
    time_zone text := case when 'timestamp with time zone' = any (entry.key_types)
                           or 'time with time zone' = any (entry.key_types) then 'set timezone = ''UTC''' else '' end;
    insert_function text := format('on_insert_%s', entry.id);
    update_function text := format('on_update_%s', entry.id);
    member regclass;
    -- %1: id in the registry, %2: key of n, %3: status column
    enqueue constant text := $sql$
        with enqueued as (
            insert into rowcall.jobs as j (task, source_table, row_key, on_status)
            select p.name, s.relation, %2$s, p.on_status
            from changed n
            join rowcall.source_tables s on s.id = %1$s
            join rowcall.parameters p on p.source_table = s.relation and p.on_status = n.%3$I::text
            where p.condition is null or rowcall.condition_holds(to_jsonb(n), p.condition)
            on conflict on constraint one_job_per_task_and_row do update
            set again = j.state = 'running',
                on_status = excluded.on_status,
                state = case when j.state = 'running' then 'running' else 'pending' end,
                due = case when j.state = 'running' then j.due else now() end,
                failures = case when j.state = 'running' then j.failures else 0 end,
                runner_failures = case when j.state = 'running' then j.runner_failures else 0 end,
                reason = null
            returning j.on_status
        ), woken as (select distinct on_status from enqueued)
        select count(pg_notify(rowcall.channel(on_status), '')) from woken into strict made
    $sql$;
    note_failure constant text := $sql$
        begin
            insert into rowcall.missed_rows (source_table, row_key, error)
            select s.relation, %2$s, sqlerrm from new_rows n, rowcall.source_tables s where s.id = %1$s;
            perform pg_notify('rowcall_control', '');
        exception when others then
            raise warning 'rowcall: rows of %% may have missed their jobs: %%', tg_relid::regclass, sqlerrm
                using hint = 'After the cause is gone: SELECT rowcall.rescan(table);';
        end;
    $sql$;
begin
    execute format($sql$
        create or replace function rowcall.%4$I() returns trigger
        language plpgsql security definer set search_path = pg_catalog, pg_temp %5$s
        as $body$
        declare made bigint;
        begin
            $sql$ || replace(enqueue, 'changed n', 'new_rows n') || $sql$;
            return null;
        exception when others then
            $sql$ || note_failure || $sql$
            return null;
        end
        $body$
    $sql$, entry.id, rowcall.key_sql(entry, 'n'), entry.status_column, insert_function, time_zone);

    execute format($sql$
        create or replace function rowcall.%4$I() returns trigger
        language plpgsql security definer set search_path = pg_catalog, pg_temp %5$s
        as $body$
        declare made bigint;
        begin
            -- A row that somebody mended is worth another look, whatever column the mending was in.
            if exists (select from rowcall.jobs j join rowcall.source_tables s on s.relation = j.source_table
                       where s.id = %1$s and j.state = 'blocked') then
                update rowcall.jobs j set state = 'pending', reason = null
                from new_rows n, rowcall.source_tables s
                where s.id = %1$s and j.source_table = s.relation and j.row_key = %2$s and j.state = 'blocked';
                get diagnostics made = row_count;
                if made > 0 then perform pg_notify('rowcall_control', ''); end if;
            end if;
            if not exists (select from new_rows n left join old_rows o on %6$s
                           where o.%3$I is distinct from n.%3$I) then
                return null;
            end if;
            -- Somebody else moved the row of a running job: its end must know.
            if coalesce(current_setting('rowcall.writing', true), '') <> 'on' then
                update rowcall.jobs j set moved_to = n.%3$I::text, moved_at = clock_timestamp(), again = false
                from new_rows n join old_rows o on %6$s, rowcall.source_tables s
                where o.%3$I is distinct from n.%3$I
                  and s.id = %1$s and j.source_table = s.relation and j.row_key = %2$s and j.state = 'running';
            end if;
            with changed as (
                select n.* from new_rows n left join old_rows o on %6$s where o.%3$I is distinct from n.%3$I
            ), $sql$ || substr(trim(both E' \n' from enqueue), 6) || $sql$;
            return null;
        exception when others then
            $sql$ || note_failure || $sql$
            return null;
        end
        $body$
    $sql$, entry.id, rowcall.key_sql(entry, 'n'), entry.status_column, update_function, time_zone,
        (select string_agg(format('o.%I = n.%I', k, k), ' and ') from unnest(entry.key_columns) as k));
    execute format('revoke all on function rowcall.%I(), rowcall.%I() from public', insert_function, update_function);

    for member in select source union select relid from pg_partition_tree(source) loop
        if not exists (select from pg_trigger where tgrelid = member and tgname = 'rowcall_insert') then
            execute format('create trigger rowcall_insert after insert on %s referencing new table as new_rows '
                'for each statement execute function rowcall.%I()', member, insert_function);
        end if;
        if not exists (select from pg_trigger where tgrelid = member and tgname = 'rowcall_update') then
            execute format('create trigger rowcall_update after update on %s referencing old table as old_rows '
                'new table as new_rows for each statement execute function rowcall.%I()', member, update_function);
        end if;
    end loop;
end
$install$;
