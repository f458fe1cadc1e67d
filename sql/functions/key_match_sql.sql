-- SQL text that matches a row under an alias with a row key (a jsonb expression), in a form that uses the
-- table's primary key: t.id = (w.key->>'id')::bigint.
create or replace function rowcall.key_match_sql(source rowcall.source_tables, alias text, key_expression text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select string_agg(
        format('%s.%I = (%s->>%L)::%s', alias, key_column, key_expression, key_column, key_type), ' and '
        order by position)
    from unnest((source).key_columns, (source).key_types) with ordinality as k(key_column, key_type, position)
$$;
