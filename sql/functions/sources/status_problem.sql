-- Why the status column of a source table does not take this word, or null: by its type, a constraint on that column alone,
-- or the table that it refers to. What cannot be told from here is left to the row itself.
create or replace function rowcall_internal.status_problem(source regclass, word text) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    is_writer constant boolean := rowcall_internal.assert_writer();
    entry rowcall_internal.source_tables;
    rule record;
    refused boolean;
begin
    select * into entry from rowcall_internal.source_tables where relation = source;
    if not found or word is null then
        return null;
    end if;
    begin
        execute format('select %L::%s', word, entry.status_type);
    exception when others then
        perform set_config('search_path', 'pg_catalog, pg_temp', true);
        return sqlerrm || coalesce('; it takes ' || (
            select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_enum e
            where e.enumtypid = to_regtype(entry.status_type)), '');
    end;
    for rule in
        select c.conname, c.contype, c.confrelid::regclass as other, pg_get_expr(c.conbin, c.conrelid) as expression,
            (select f.attname from pg_attribute f where f.attrelid = c.confrelid and f.attnum = c.confkey[1]) as other_column
        from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attname = entry.status_column
        where c.conrelid = source and c.contype in ('c', 'f') and c.conkey = array[a.attnum]
    loop
        begin
            execute case rule.contype
                when 'c' then format('select (%s) is false from (select %L::%s as %I) t', rule.expression, word, entry.status_type, entry.status_column)
                else format('select not exists (select from %s r where r.%I::text = %L)', rule.other, rule.other_column, word) end
            into refused;
            perform set_config('search_path', 'pg_catalog, pg_temp', true);
            if refused then
                return case rule.contype when 'c' then format('its constraint %I refuses it', rule.conname)
                    else format('%s, which it refers to, has no such row', rule.other) end;
            end if;
        exception when others then
            -- For want of a right, say.
        end;
    end loop;
    -- Code of the table's owner may have changed it, and would choose what the caller's next names mean.
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
    return null;
end
$$;
