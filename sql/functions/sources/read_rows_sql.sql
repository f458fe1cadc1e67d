-- SQL text: reads the rows of a source table with the keys $1, into one line of arrays. With a limit it is one look at an index for each,
-- also by a plan that was made while the table was small, or of when it was last analyzed empty.
create or replace function rowcall_internal.read_rows_sql(source rowcall_internal.source_tables) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select format(
        'select array_agg(w.key), array_agg(t.status), array_agg(t.text), array_agg(t.version) from unnest($1) as w(key) '
        'cross join lateral (select t.%I::text as status, to_jsonb(t.*)::text as text, t.xmin::text as version from %s t where %s limit 1) t',
        source.status_column, source.relation, rowcall_internal.key_match_sql(source, 't', 'w.key'))
$$;
