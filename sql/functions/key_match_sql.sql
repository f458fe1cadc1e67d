-- SQL text that matches a row under an alias with a row key (a jsonb expression), in a form that uses the
-- table's primary key: t.id = (w.key->>'id')::bigint. It may be read under another search path, where somebody else
-- may have made operators: hence the schemas.
create or replace function rowcall.key_match_sql(source rowcall.source_tables, alias text, key_expression text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Most keys; what is said of others takes a look into the catalogue, which costs more than finding a row. All whole
    -- numbers are compared as the largest kind, which their indexes know, so that a key may be widened.
    if source.key_types <@ '{smallint,integer,bigint,text,uuid}' then
        return (
            select string_agg(
                format('%1$s.%2$I operator(pg_catalog.=) (%3$s operator(pg_catalog.->>) %2$L::text)::pg_catalog.%4$s',
                    alias, key_column, key_expression, case when key_type in ('text', 'uuid') then key_type else 'int8' end),
                ' and ' order by position)
            from unnest(source.key_columns, source.key_types) with ordinality as k(key_column, key_type, position));
    end if;
    return (
        select string_agg(
            format('%1$s.%2$I%3$s %4$s (%5$s operator(pg_catalog.->>) %2$L::text)::%6$s%3$s', alias, key_column,
                '::' || operand, equals, key_expression, plain), ' and ' order by position)
        from rowcall.key_parts(source));
end
$$;
