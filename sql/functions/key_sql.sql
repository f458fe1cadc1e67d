-- SQL text that builds the row key of a source table's row under the given alias:
-- jsonb_build_object('id', n.id).
create or replace function rowcall.key_sql(source rowcall.source_tables, alias text) returns text
language sql stable
set search_path = pg_catalog
as $$
    select 'pg_catalog.jsonb_build_object('
        || string_agg(format('%L, %s.%I', key_column, alias, key_column), ', ' order by position) || ')'
    from unnest((source).key_columns) with ordinality as k(key_column, position)
$$;
