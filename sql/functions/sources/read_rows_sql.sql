-- SQL text: reads the rows of a source table with the keys $1, into one line of arrays.
create or replace function rowcall_internal.read_rows_sql(source rowcall_internal.source_tables) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select format(
        'select array_agg(w.key), array_agg(t.%I::text), array_agg(to_jsonb(t.*)::text), array_agg(t.xmin::text) from unnest($1) as w(key) join %s t on %s and %s',
        source.status_column, source.relation, rowcall_internal.key_match_sql(source, 't', 'w.key'),
        rowcall_internal.key_among_sql(source, 't', '$1'))
$$;
