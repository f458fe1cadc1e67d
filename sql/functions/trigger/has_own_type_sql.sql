-- SQL text: whether a column of a row (under an alias) has a type of Postgres' own, or the domain over one that it has now. Its owner may give
-- it another type at any time, and triggers keep this text.
create or replace function rowcall_internal.has_own_type_sql(source rowcall_internal.source_tables, alias text, column_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    -- Below are the numbers that initdb gives.
    select format('(pg_catalog.pg_typeof(%1$s.%2$I)::pg_catalog.oid < 16384', alias, column_name)
        || coalesce((
            select format(' or pg_catalog.pg_typeof(%1$s.%2$I)::pg_catalog.oid = %3$s', alias, column_name, a.atttypid)
            from pg_attribute a
            where a.attrelid = source.relation and a.attname = column_name and a.atttypid >= 16384
              and (rowcall_internal.column_types(source.relation, array[column_name]))[1]::oid < 16384), '') || ')'
$$;
