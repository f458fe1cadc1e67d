-- SQL text: rowcall.short_key() of a source table's row under the given alias. A key of a few columns whose types have short texts needs
-- no look at its length.
create or replace function rowcall_internal.short_key_sql(source rowcall_internal.source_tables, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when source.key_types <@ '{smallint,integer,bigint}'::regtype[] and cardinality(source.key_columns) = 1
        -- By its output function: the column may get a type whose owner has made a cast to text.
        then format('pg_catalog.chr(96 + pg_catalog.length(pg_catalog.concat(%1$s.%2$I))) || pg_catalog.concat(%1$s.%2$I)', alias, source.key_columns[1])
        when cardinality(source.key_columns) <= 3
            and source.key_types <@ '{smallint,integer,bigint,uuid,date,timestamp,timestamptz,oid,boolean}'::regtype[]
        then '(' || key || ')::pg_catalog.text'
        -- The function only for a long key: called for each row, it would set its search_path for each.
        else format('case when pg_catalog.octet_length((%1$s)::pg_catalog.text) <= 500 then (%1$s)::pg_catalog.text '
            'else rowcall.short_key(%1$s) end', key) end
    from rowcall_internal.key_sql(source, alias) as key
$$;
