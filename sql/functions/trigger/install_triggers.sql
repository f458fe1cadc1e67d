-- Writes the two trigger functions of a source table (on_insert_body.sql, on_update_body.sql) and puts them on it and on its
-- partitions. They are written out per table, with its key and status columns in them, because the statement is then
-- planned once and needs no dynamic SQL for the common statement of one row.
create or replace function rowcall_internal.install_triggers(source regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    entry rowcall_internal.source_tables := rowcall_internal.source_of(source);
    is_partitioned constant boolean := (select relkind = 'p' from pg_class where oid = source);
    names jsonb := jsonb_build_object(
        -- Only a partition writes for another table.
        'relation', case when is_partitioned then format('(select s.relation from rowcall_internal.source_tables s where s.id = %s)', entry.id)
            else 'tg_relid' end,
        'status', quote_ident(entry.status_column),
        -- Of a type that is not Postgres' own by its output function: a cast to text may be one that the type's owner has made.
        'status_text', case when (select t.typnamespace = 'pg_catalog'::regnamespace from pg_attribute a join pg_type t on t.oid = a.atttypid
                where a.attrelid = source and a.attname = entry.status_column)
            then format('case when %1$s then n.%2$I::text else nullif(pg_catalog.concat(n.%2$I), '''') end',
                rowcall_internal.has_own_type_sql(entry, 'n', entry.status_column), entry.status_column) else format('nullif(pg_catalog.concat(n.%I), '''')', entry.status_column) end,
        'key', rowcall_internal.key_sql(entry, 'n'),
        'short_key', rowcall_internal.short_key_sql(entry, 'n'),
        'asks', rowcall_internal.asks_sql(),
        -- Only partitions can be detached.
        'is_detached', case when is_partitioned
            then format('rowcall_internal.is_detached(tg_relid, %s)', entry.id) else 'false' end,
        'same_key', (select string_agg(format('o.%1$I%2$s %3$s n.%1$I%2$s', key_column, '::' || operand, equals), ' and ')
                     from rowcall_internal.key_parts(entry)));
    -- The text of a key must not depend on the writer's zone. Other types do not need this, and save its cost.
    settings constant text :=
        case when 'timestamptz'::regtype = any (entry.key_types) then 'set timezone = ''UTC''' else '' end;
    trigger record;
    own_lock_timeout constant text := current_setting('lock_timeout');
    patience constant text := rowcall_internal.shorter_timeout(own_lock_timeout, '100ms');
    tries_end constant timestamptz := clock_timestamp() + interval '10 seconds';
begin
    names := names || jsonb_build_object(
        'wake', rowcall_internal.fill_in(rowcall_internal.wake_sql(), names),
        'enqueue_new_rows', rowcall_internal.fill_in(rowcall_internal.enqueue_sql(), names || '{"rows": "new_rows", "relation": "source"}'),
        'enqueue_changed', rowcall_internal.fill_in(rowcall_internal.enqueue_sql(), names || '{"rows": "changed", "relation": "source"}'),
        'enqueue_many', rowcall_internal.fill_in(rowcall_internal.enqueue_sql(), names || '{"rows": "changed", "relation": "$1"}'));
    if names::text ~ '\$many\$' then
        raise exception 'rowcall.watch: the column names of % hold $many$, by which the triggers quote', source
            using errcode = '42602', hint = 'Give that column another name.';
    end if;
    for trigger in
        select * from (values
            ('insert', rowcall_internal.on_insert_body()), ('update', rowcall_internal.on_update_body())) t(event, body)
    loop
        -- A session keeps its plans. One made while the queue was empty would scan the queue whole when it is long. And a
        -- statement of many rows looks costly enough to be compiled, which takes a writer longer than to run it. The writer waits 80 ms
        -- for a lock of ours: what holds it longer is no business of the writer's.
        execute format('create or replace function rowcall_internal.%I() returns trigger language plpgsql '
            'security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off '
            'set lock_timeout = ''80ms'' %s as %L',
            format('on_%s_%s', trigger.event, entry.id), settings, rowcall_internal.fill_in(trigger.body, names));
        execute format('revoke all on function rowcall_internal.%I() from public', format('on_%s_%s', trigger.event, entry.id));
    end loop;
    -- Later sessions wait behind a lock that is waited for. So this lets go of all, soon, and begins anew.
    loop
        begin
            perform set_config('lock_timeout', patience, true);
            -- The whole before its partitions, as writers lock them.
            for trigger in
                select c.oid::regclass as member, t.* from pg_class c
                cross join (values ('insert', 'referencing new table as new_rows'),
                    ('update', 'referencing old table as old_rows new table as new_rows')) t(event, rows)
                where c.relkind in ('r', 'p') and c.oid in (select source union select relid from pg_partition_tree(source))
                  and not exists (select from pg_trigger g where g.tgrelid = c.oid and g.tgname = 'rowcall_' || t.event)
                order by (select count(*) from pg_partition_ancestors(c.oid)), c.oid, t.event
            loop
                execute format('create trigger %I after %s on %s %s for each statement execute function rowcall_internal.%I()',
                    'rowcall_' || trigger.event, trigger.event, trigger.member, trigger.rows, format('on_%s_%s', trigger.event, entry.id));
            end loop;
            exit;
        exception when lock_not_available or deadlock_detected then
            if patience = own_lock_timeout then
                -- A caller that has no more patience begins anew itself, as `rowcall migrate` does.
                raise;
            elsif clock_timestamp() > tries_end then
                raise exception 'rowcall.watch: other sessions have used % for 10 seconds and not ended', source
                    using errcode = '55P03', hint = 'Try again when their transactions have ended.';
            end if;
            perform pg_sleep(0.1 + 0.2 * random());
        end;
    end loop;
    perform set_config('lock_timeout', own_lock_timeout, true);
end
$$;
