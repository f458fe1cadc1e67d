-- SQL text: the condition that a row (under an alias) has a row key (a jsonb expression), in a form that uses the index
-- of the table's key: t.id = (w.key->>'id')::int8.
create or replace function rowcall_internal.key_match_sql(source rowcall_internal.source_tables, alias text, key_expression text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select string_agg(
        format('%1$s.%2$I%3$s %4$s (%5$s operator(pg_catalog.->>) %2$L::pg_catalog.text)::%6$s', alias, key_column,
            '::' || operand, equals, key_expression, read_as), ' and ' order by position)
    from rowcall_internal.key_parts(source)
$$;
