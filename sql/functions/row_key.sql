-- The row key of what a person types: 42, 'abc', a uuid; for a key of several columns '{"a": 1, "b": "x"}'. It is the
-- very jsonb that the triggers write (rowcall.key_sql), so that it can be compared. The row need not exist.
--
-- A time without a zone is one of the caller's; the other settings are those under which its own text is read.
create or replace function rowcall.row_key(source regclass, key text) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1
as $$
declare
    entry rowcall.source_tables := rowcall.source_of(source);
    columns text := (
        select string_agg(format('%I %s', key_column, key_type), ', ' order by position)
        from unnest(entry.key_columns, entry.key_types) with ordinality as k(key_column, key_type, position));
    example text := format('As a text of JSON with all of them: {%s}.', (
        select string_agg(format('%s: …', to_json(c)), ', ' order by position)
        from unnest(entry.key_columns) with ordinality as k(c, position)));
    given jsonb;
    canonical jsonb;
    cut text[];
    changed text := rowcall.source_changed(entry);
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
        select * from unnest(entry.key_columns, entry.key_types) as t(key_column, key_type)
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
        -- The text of a list or the like is read once, below, whatever the caller's settings.
        execute format('select to_jsonb(t), array_remove(array[%s], null) from (select %s) t', (
            -- A cast cuts a text to its length and rounds a number: that would be another row's key.
            select string_agg(format(
                case when p.plain in ('real', 'double precision')
                        then 'case when ($1 ->> %1$L)::numeric <> ($1 ->> %1$L)::%2$s::text::numeric then %1$L end'
                     when p.plain in ('name', '"char"') then 'case when $1 ->> %1$L <> ($1 ->> %1$L)::%2$s::text then %1$L end'
                     when p.plain <> p.bounded
                        then 'case when not (($1 ->> %1$L)::%2$s%4$s %5$s ($1 ->> %1$L)::%2$s::%3$s%4$s) then %1$L end'
                     else 'null' end,
                p.key_column, p.plain, p.bounded, '::' || p.operand, p.equals), ', ')
            from rowcall.key_parts(entry) p), (
            select string_agg(format('($1 ->> %L)%s as %1$I', p.key_column,
                case when not p.as_text then '::' || p.bounded end), ', ')
            from rowcall.key_parts(entry) p))
        into canonical, cut using given;
        canonical := rowcall.row_key_of(source, canonical);
    exception
        when insufficient_resources or query_canceled or insufficient_privilege then
            raise;
        when others then
            raise exception 'a row of % is named by its key (%); this is not one: %', source, columns, key
                using errcode = '22023', detail = sqlerrm;
    end;
    if cut <> '{}' then
        raise exception 'a row of % is named by its key (%); % does not fit %', source, columns, given -> cut[1],
                (select p.bounded from rowcall.key_parts(entry) p where p.key_column = cut[1])
            using errcode = '22023';
    end if;
    return canonical;
end
$$;

-- The same of a value of any type: 42 without quotes, a uuid, a jsonb object.
create or replace function rowcall.row_key(source regclass, key anyelement) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select rowcall.row_key(source, rowcall.key_text(key))
$$;
