-- The second half of rowcall.watch(), with the rights of the schema's owner: checks the table, notes its key and
-- columns in the registry, and installs the triggers.
create or replace function rowcall.register_source(
    source regclass, status_column text, key text[] default null, touch_column text default null,
    external_id_column text default null) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    kind "char" := (select relkind from pg_class where oid = source);
    its_owner oid := (select relowner from pg_class where oid = source);
    home name := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = source);
    named text[];
    its_key record;
    status_type text;
    touch text;
    external_id text;
    problem text;
    other_columns text[];
    before rowcall_internal.source_tables;
    after rowcall_internal.source_tables;
    -- The number in the trigger functions of a table that was watched before, whose triggers its owner has not dropped.
    kept int;
    wrong record;
begin
    if kind not in ('r', 'p') then
        raise exception 'rowcall.watch: % is not a table', source
            using errcode = '42809', hint = 'Only ordinary and partitioned tables can be watched.';
    end if;
    if (select relpersistence from pg_class where oid = source) = 't' then
        raise exception 'rowcall.watch: % is a temporary table', source
            using errcode = '42809', hint = 'No dispatcher sees the rows of another session''s temporary table.';
    end if;
    -- The rows of its children are among its own, and no trigger of it fires when they change.
    if exists (select from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = source and not c.relispartition) then
        raise exception 'rowcall.watch: other tables inherit from %', source
            using errcode = '42809', hint = format('Watch these: %s. Or make it a partitioned table.', (
                select string_agg(i.inhrelid::regclass::text, ', ' order by 1) from pg_inherits i where i.inhparent = source));
    end if;

    -- What is rendered of a row can be read by viewers, and the instance's secret makes tokens.
    if home in ('rowcall', 'rowcall_internal') and source <> 'rowcall.files'::regclass then
        raise exception 'rowcall.watch: % is Rowcall''s own', source
            using errcode = '42501', hint = 'Of Rowcall''s own tables only rowcall.files can be watched.';
    end if;
    -- The grants to this function's owner are how a table's owner agrees. Where they come without a word, because that
    -- owner has every right on the table anyway, the caller must be its owner.
    if home <> 'rowcall' and pg_has_role(current_user, its_owner, 'member')
       and not pg_has_role(session_user, its_owner, 'member') then
        raise exception 'rowcall.watch: % does not own %', session_user, source
            using errcode = '42501', hint = format('Call it as %I.', pg_get_userbyid(its_owner));
    end if;

    perform rowcall.forget_dropped();
    select * into before from rowcall_internal.source_tables s where s.relation = source;
    -- A key once named is kept until another is.
    named := coalesce(key, case when before.key_named then before.key_columns end);
    select * into its_key from rowcall_internal.table_key(source, named);
    if its_key.problem is not null then
        raise exception 'rowcall.watch: %', its_key.problem using errcode = '42P10', hint = its_key.hint;
    end if;
    if status_column = any (its_key.columns) then
        raise exception 'rowcall.watch: the status column % is part of the key of table %', quote_ident(status_column), source
            using errcode = '42P10', hint = 'A row with another status would be another row. Name a unique key without it, '
                'whose columns are NOT NULL: ' || format('SELECT rowcall.watch(%L, %L, key => ''{columns}''); '
                'a table that is partitioned by its status has none.', source, status_column);
    end if;

    -- Without its length: a cast to varchar(8) cuts a longer status short, an assignment refuses it.
    select format_type(atttypid, -1) into status_type
    from pg_attribute where attrelid = source and attname = status_column and attnum > 0 and not attisdropped;
    if not found then
        raise exception 'rowcall.watch: table % has no column %', source, quote_ident(status_column)
            using errcode = '42703', hint = 'Name the status column: rowcall.watch(table, status_column).';
    end if;
    if exists (select from pg_attribute where attrelid = source and attname = status_column and attgenerated <> '') then
        raise exception 'rowcall.watch: column % of table % is generated', quote_ident(status_column), source
            using errcode = '42P10', hint = 'Rowcall writes the status. Name a status column that can be written.';
    end if;

    -- As the trigger compares them.
    begin
        execute format('select null::%1$s is distinct from null::%1$s', status_type);
    exception when undefined_function then
        raise exception 'rowcall.watch: column % of table % has the type %, whose values cannot be compared',
            quote_ident(status_column), source, status_type
            using errcode = '42P10', hint = 'Give the status a type such as text, varchar or an enum.';
    end;

    -- What was named before counts as long as it can be written; an empty string is kept, too.
    other_columns := status_column || its_key.columns;
    problem := coalesce(rowcall_internal.written_column_problem(source, 'touch_column', touch_column, other_columns),
        rowcall_internal.written_column_problem(source, 'external_id_column', external_id_column, other_columns));
    if problem is not null then
        raise exception 'rowcall.watch: %', problem
            using errcode = '42703', hint = 'Name a column that Rowcall may write, besides the status and the key; or an empty string for none.';
    end if;
    if coalesce(nullif(touch_column, before.touch_column), nullif(external_id_column, before.external_id_column), '') <> ''
       and not pg_has_role(session_user, its_owner, 'member') then
        raise exception 'rowcall.watch: % does not own %, and cannot choose columns of it to be written', session_user, source
            using errcode = '42501', hint = format('Call it as %I.', pg_get_userbyid(its_owner));
    end if;
    touch := coalesce(touch_column,
        case when rowcall_internal.written_column_problem(source, 'touch_column', before.touch_column, other_columns) is null
            then before.touch_column end,
        case when rowcall_internal.written_column_problem(source, 'touch_column', 'last_update', other_columns) is null
            then 'last_update' end);
    external_id := coalesce(external_id_column, case when rowcall_internal.written_column_problem(
        source, 'external_id_column', before.external_id_column, other_columns) is null then before.external_id_column end);

    -- The owner agreed to that column being written, and to no other.
    if before.status_column <> register_source.status_column and not pg_has_role(session_user, its_owner, 'member') then
        raise exception 'rowcall.watch: the status column of % is %, and % does not own the table',
                source, quote_ident(before.status_column), session_user
            using errcode = '42501', hint = format('To make it %I: call this as %I.', register_source.status_column,
                pg_get_userbyid(its_owner));
    end if;
    select substring(p.proname from '^on_(?:insert|update)_(\d+)$')::int into kept
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = source and t.tgname in ('rowcall_insert', 'rowcall_update') and p.pronamespace = 'rowcall_internal'::regnamespace
      and not exists (select from rowcall_internal.source_tables s where p.proname in (format('on_insert_%s', s.id), format('on_update_%s', s.id)));
    insert into rowcall_internal.source_tables as s
        (id, relation, key_columns, key_types, key_named, status_column, status_type, touch_column, external_id_column)
    overriding system value
    values (coalesce(before.id, kept, nextval(pg_get_serial_sequence('rowcall_internal.source_tables', 'id'))), source, its_key.columns,
        its_key.types, named is not null, register_source.status_column, status_type, touch, external_id)
    on conflict (relation) do update
    set key_columns = excluded.key_columns, key_types = excluded.key_types, key_named = excluded.key_named,
        status_column = excluded.status_column, status_type = excluded.status_type,
        touch_column = excluded.touch_column, external_id_column = excluded.external_id_column
    returning * into after;
    -- The short key of an integer or of a UUID does not say of which column: those of another column get the form that does, and are taken for no
    -- others until they have their new keys, or for good.
    update rowcall_internal.jobs j set short_key = j.row_key::text
    where j.source_table = source and j.short_key !~ '^\{' and not j.row_key ?& its_key.columns and octet_length(j.row_key::text) <= 500;
    if (before.key_columns, before.key_types) is distinct from (after.key_columns, after.key_types) and before.id is not null then
        perform rowcall_internal.change_row_keys(before, after);
    end if;
    perform rowcall_internal.install_triggers(source);
    perform rowcall_internal.install_row_functions(source);
    -- That there is a trigger of the name does not say that it is ours, nor that it fires.
    select c.relation, e.event, t.tgname, t.tgenabled, t.tgfoid into wrong
    from (select source as relation union select relid from pg_partition_tree(source)) c
    cross join (values ('insert'), ('update')) e(event)
    left join pg_trigger t on t.tgrelid = c.relation and t.tgname = 'rowcall_' || e.event
    where t.tgfoid is distinct from to_regproc(format('rowcall_internal.on_%s_%s', e.event, after.id)) or t.tgenabled not in ('O', 'A')
    limit 1;
    if found then
        raise exception 'rowcall.watch: the trigger rowcall_% of % %', wrong.event, wrong.relation, case
                when wrong.tgname is null then 'is not there'
                when wrong.tgenabled not in ('O', 'A') and wrong.tgfoid = to_regproc(format('rowcall_internal.on_%s_%s', wrong.event, after.id))
                    then 'is disabled'
                else format('is another one: it calls %s', wrong.tgfoid::regproc) end
            using errcode = '55000', hint = format('As the owner of the table: DROP TRIGGER IF EXISTS rowcall_%s ON %s; and then '
                'watch it again.', wrong.event, wrong.relation);
    end if;
    -- What another session holds is released by the janitor: the table is locked here.
    update rowcall_internal.jobs set state = 'pending', refused_by = null, reason = null
    where id in (select id from rowcall_internal.jobs where source_table = source and state = 'blocked' for update skip locked);
    perform rowcall_internal.notify('rowcall_control');
end
$$;
