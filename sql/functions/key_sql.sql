-- SQL text that builds the row key of a source table's row under the given alias:
-- jsonb_build_object('id', n.id). A numeric goes in as text, since readers of JSON round large numbers.
create or replace function rowcall.key_sql(source rowcall.source_tables, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select 'pg_catalog.jsonb_build_object('
        || string_agg(format(
            case when key_type ~ '^numeric\y' then '%L, pg_catalog.trim_scale(%s.%I)::text' else '%L, %s.%I' end,
            key_column, alias, key_column), ', ' order by position) || ')'
    from unnest((source).key_columns, (source).key_types) with ordinality as k(key_column, key_type, position)
$$;
