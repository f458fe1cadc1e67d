-- The row key, as jsonb, of a key as a person types it: 42, 'abc', a uuid; for a key of several columns '{"a": 1, "b":
-- "x"}'. The triggers write the same jsonb (rowcall_internal.key_sql), so the two can be compared. The row need not
-- exist.
--
-- A date is read in the caller's DateStyle, and a timestamptz without a zone in the caller's TimeZone.
create or replace function rowcall.row_key(source regclass, key text) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    entry rowcall_internal.source_tables := rowcall_internal.source_of(source);
    columns text := (
        select string_agg(format('%I %s', key_column, format_type(key_type, null)), ', ' order by position)
        from unnest(entry.key_columns, entry.key_types) with ordinality as k(key_column, key_type, position));
    example text := format('Write a JSON object with all of them: {%s}.', (
        select string_agg(format('%s: …', to_json(c)), ', ' order by position)
        from unnest(entry.key_columns) with ordinality as k(c, position)));
    given jsonb;
    changed text := rowcall_internal.source_drift(entry);
    k record;
begin
    if changed is not null then
        raise exception '% cannot be read: %', source, changed using errcode = 'RC011';
    end if;
    if key is null then
        raise exception 'a row of % is named by its key (%), which is null here', source, columns using errcode = '22004';
    end if;
    -- An object is meant as one if it has the key's columns; else it is the text of a key that looks like one.
    if ltrim(key, E' \t\n\r') ^@ '{' then
        begin
            given := key::jsonb;
        exception when invalid_text_representation or untranslatable_character then
            given := null;
        end;
    end if;
    if cardinality(entry.key_columns) = 1 and not coalesce(given ? entry.key_columns[1], false) then
        given := jsonb_build_object(entry.key_columns[1], key);
    elsif given is null then
        raise exception 'a row of % is named by its whole key (%); this is not: %', source, columns, key
            using errcode = '22023', hint = example;
    end if;

    for k in
        select * from unnest(entry.key_columns) as t(key_column)
    loop
        if given ->> k.key_column is null then
            raise exception 'a row of % is named by its whole key (%); % is missing in %',
                    source, columns, quote_ident(k.key_column), key
                using errcode = '22023', hint = example;
        end if;
    end loop;
    select o into k from jsonb_object_keys(given) o where o <> all (entry.key_columns) limit 1;
    if found then
        raise exception 'a row of % is named by its key (%), of which % is no part', source, columns, to_json(k.o)
            using errcode = '22023', hint = example;
    end if;

    begin
        for k in
            select * from unnest(entry.key_columns, entry.key_types) as t(key_column, key_type)
            where key_type = 'timestamptz'::regtype
        loop
            given := given || jsonb_build_object(k.key_column, (given ->> k.key_column)::timestamptz);
        end loop;
        return rowcall_internal.row_key_of(entry, given);
    exception
        when insufficient_resources or query_canceled or insufficient_privilege then
            raise;
        when others then
            raise exception 'a row of % is named by its key (%); this is not one: %', source, columns, key
                using errcode = '22023', detail = sqlerrm;
    end;
end
$$;

-- The same for a value of any type: 42 without quotes, a uuid, a jsonb object.
create or replace function rowcall.row_key(source regclass, key anyelement) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select rowcall.row_key(source, rowcall.key_text(key))
$$;
