-- SQL text that builds the row key of a source table's row under the given alias:
-- jsonb_build_object('id', n.id). A numeric goes in as text, since readers of JSON round large numbers; what JSON has no
-- plain value for, as the text that it is read from.
create or replace function rowcall.key_sql(source rowcall.source_tables, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select 'pg_catalog.jsonb_build_object('
        || string_agg(format(
            case when key_type ~ '^numeric\y(?!.*\[)' then '%L, pg_catalog.trim_scale(%s.%I)::text'
                 when as_text then '%L, %s.%I::%s::text'
                 else '%L, %s.%I' end,
            key_column, alias, key_column, plain), ', ' order by position) || ')'
    from rowcall.key_parts(source)
$$;
