-- Writes the two trigger functions of a source table and puts them on it and on its partitions. They are
-- written out per table, with its key and status columns in them, because the statement is then planned once
-- and needs no dynamic SQL for the common statement of one row.
--
-- Rules for that code: it runs inside a stranger's statement. It makes jobs, wakes the dispatcher, and
-- nothing else; whatever goes wrong is noted in rowcall.missed_rows and never reaches the user.
create or replace function rowcall.install_triggers(source regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $install$
declare
    entry rowcall.source_tables := rowcall.source_of(source);
    key text := rowcall.key_sql(entry, 'n');
    status text := quote_ident(entry.status_column);
    -- The text of a key must not depend on the writer's zone. Other types do not need this, and save its cost.
    settings text := case when 'timestamptz'::regtype = any (entry.key_types) then 'set timezone = ''UTC''' else '' end;
    insert_function text := format('on_insert_%s', entry.id);
    update_function text := format('on_update_%s', entry.id);
    member regclass;
    changes text;
    enqueue text;
    routed text;
    note_moves text;
    release text;
    note text;
    note_failure text;
    -- A session keeps its plans. One made while the queue was empty would scan the queue whole when it is long.
    head constant text := 'create or replace function rowcall.%I() returns trigger language plpgsql '
        'security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off %s as %L';
begin
    -- The changed rows of an update: those with another status, and those with another key.
    changes := format('select n.* from new_rows n left join old_rows o on %s where o.%2$s is distinct from n.%2$s',
        (select string_agg(format('o.%1$I%2$s %3$s n.%1$I%2$s', key_column, '::' || operand, equals), ' and ')
         from rowcall.key_parts(entry)), status);

    -- Whether any of these rows has a task at all: much cheaper to ask than to start an INSERT for nothing.
    routed := format('select from new_rows n join rowcall.source_tables s on s.id = %s '
        'join rowcall.parameters p on p.source_table = s.relation and p.on_status = n.%s::text', entry.id, status);

    enqueue := format($sql$
            enqueued as (
                insert into rowcall.jobs as j (task, source_table, row_key, on_status)
                select p.name, s.relation, %2$s, p.on_status
                from changed n
                join rowcall.source_tables s on s.id = %1$s
                join rowcall.parameters p on p.source_table = s.relation and p.on_status = n.%3$s::text
                where p.condition is null or rowcall.condition_holds(to_jsonb(n.*), p.condition)
                %4$s
                returning j.on_status
            )
            select array_agg(distinct rowcall.channel(on_status)) from enqueued$sql$,
        entry.id, key, status, rowcall.ask_again_sql());

    note_moves := format($sql$
            update rowcall.jobs j set moved_to = n.%3$s::text, moved_at = clock_timestamp(), again = false
            from changed n, rowcall.source_tables s
            where s.id = %1$s and j.source_table = s.relation and j.short_key = rowcall.short_key(%2$s) and j.state = 'running'$sql$,
        entry.id, key, status);

    release := format($sql$
            update rowcall.jobs j set state = 'pending', reason = null
            from new_rows n, rowcall.source_tables s
            where s.id = %1$s and j.source_table = s.relation and j.short_key = rowcall.short_key(%2$s) and j.state = 'blocked'$sql$,
        entry.id, key);

    note_failure := format($sql$
            begin
                cause := sqlerrm;
                execute %%L using cause;
                get diagnostics made = row_count;
                if made > 0 then perform pg_notify('rowcall_control', ''); end if;
            exception when others then
                raise warning 'rowcall: rows of %%%% may have missed their jobs: %%%% (and: %%%%)', tg_relid::regclass, cause, sqlerrm
                    using hint = 'After the cause is gone: SELECT rowcall.rescan(table);';
            end;
            return null;$sql$);
    note := format($sql$
            insert into rowcall.missed_rows (source_table, row_key, error)
            select s.relation, %2$s, $1 from changed n, rowcall.source_tables s where s.id = %1$s$sql$, entry.id, key);

    execute format(head, insert_function, settings, format($sql$
        declare
            channels text[];
            made bigint;
            cause text;
        begin
            if not exists (%3$s) then return null; end if;
            with changed as (select * from new_rows), %1$s into strict channels;
            if channels is not null then perform rowcall.wake(channels); end if;
            return null;
        exception when others then %2$s
        end
    $sql$, enqueue, format(note_failure, 'with changed as (select * from new_rows)' || note), routed));

    -- The join of new and old rows must be planned for the rows at hand: a plan kept from a statement of one
    -- row compares every row of a large one with every other. Hence the dynamic half.
    execute format(head, update_function, settings, format($sql$
        declare
            channels text[];
            made bigint;
            cause text;
            writing text := coalesce(current_setting('rowcall.writing', true), '');
            by_others boolean := writing <> 'on';
        begin
            -- A status that the claim of a job puts back is that job's own.
            -- What triggers of the table do on that occasion is not.
            if writing = 'back' and pg_trigger_depth() = 1 then return null; end if;
            -- A row that somebody mended is worth another look, whatever column the mending was in.
            if exists (select from rowcall.jobs j join rowcall.source_tables s on s.relation = j.source_table
                       where s.id = %1$s and j.state = 'blocked') then %2$s;
                get diagnostics made = row_count;
                if made > 0 then perform pg_notify('rowcall_control', ''); end if;
            end if;
            -- Where somebody else moved the row of a running job, its end must know.
            if (select count(*) from (select from new_rows limit 2) as few) < 2 then
                if not exists (%3$s) then
                    return null;
                end if;
                if by_others then
                    with changed as (%3$s) %4$s;
                end if;
                if exists (%9$s) then
                    with changed as (%3$s), %5$s into strict channels;
                end if;
            else
                if by_others then
                    execute %6$L;
                end if;
                execute %7$L into strict channels;
            end if;
            if channels is not null then perform rowcall.wake(channels); end if;
            return null;
        exception when others then %8$s
        end
    $sql$, entry.id, release, changes, note_moves, enqueue,
        format('with changed as (%s) %s', changes, note_moves),
        format('with changed as (%s), %s', changes, enqueue),
        format(note_failure, format('with changed as (%s) %s', changes, note)),
        routed));
    execute format('revoke all on function rowcall.%I(), rowcall.%I() from public', insert_function, update_function);

    for member in
        select oid from pg_class
        where relkind in ('r', 'p') and oid in (select source union select relid from pg_partition_tree(source))
    loop
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
