-- SQL text: that a row (under an alias) has one of these row keys (an expression of an array of jsonb), as far as the first column of the key
-- says. Beside a join by key it keeps a plan from reading the whole table that was made while the table was small. Not where rows are
-- written: of such an array Postgres takes ten for granted, and compares each row of a batch with each.
create or replace function rowcall_internal.key_among_sql(source rowcall_internal.source_tables, alias text, keys text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when p.operand is null and p.equals = 'operator(pg_catalog.=)'
        then format('%s.%I %s any (array(select (k operator(pg_catalog.->>) %L::pg_catalog.text)::%s from pg_catalog.unnest(%s) k))',
            alias, p.key_column, p.equals, p.key_column, p.read_as, keys)
        else 'true' end
    from rowcall_internal.key_parts(source) p order by p.position limit 1
$$;
