-- How a watched table differs from what rowcall.watch() noted of it, and what to do; null if it does not.
create or replace function rowcall_internal.source_drift(source rowcall_internal.source_tables) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    today record;
    differs text;
    status text := case
        when exists (select from pg_attribute where attrelid = source.relation and attname = source.status_column
                     and not attisdropped)
        then source.status_column else 'its status column' end;
begin
    if not exists (select from pg_class where oid = source.relation) then
        return 'the table was dropped: SELECT rowcall.forget_dropped();';
    end if;
    -- For the triggers and all else run as the owner of the schema.
    if not has_schema_privilege(current_user, (select relnamespace from pg_class where oid = source.relation), 'usage')
        or not has_table_privilege(current_user, source.relation, 'select')
        or not has_table_privilege(current_user, source.relation, 'update')
    then
        return format('%s is out of reach: %s may not %s. SELECT rowcall.watch(%L, %L);', source.relation, current_user,
            case when has_table_privilege(current_user, source.relation, 'select')
                  and has_table_privilege(current_user, source.relation, 'update') then 'use its schema' else 'read and write it' end,
            source.relation, source.status_column);
    end if;
    select * into today from rowcall_internal.table_key(source.relation, case when source.key_named then source.key_columns end);
    if today.problem is not null then
        return format('%s has changed since rowcall.watch(): %s. %s SELECT rowcall.watch(%L, %L%s);', source.relation, today.problem,
            case when source.key_named then 'Name its key as it is now:' else today.hint || ' Then:' end, source.relation, status,
            case when source.key_named then ', key => ''{columns}''' else '' end);
    end if;
    differs := case
        when today.columns <> source.key_columns then format('its primary key is (%s) now', array_to_string(today.columns, ', '))
        when today.types <> source.key_types then format('its key has the type %s now', array_to_string(today.types, ', '))
    end;
    if differs is null then
        select case
            when a.attname is null then format('it has no column %I any more', w.name)
            when w.name = source.status_column and format_type(a.atttypid, -1) <> source.status_type
                then format('its column %I has the type %s now', w.name, format_type(a.atttypid, -1))
        end into differs
        from (values (source.status_column), (source.touch_column)) w(name)
        left join pg_attribute a on a.attrelid = source.relation and a.attname = w.name and a.attnum > 0 and not a.attisdropped
        where w.name is not null
        order by 1 limit 1;
    end if;
    if differs is null then
        return null;
    end if;
    return format('%s has changed since rowcall.watch(): %s. SELECT rowcall.watch(%L, %L);', source.relation, differs,
        source.relation, status);
end
$$;
