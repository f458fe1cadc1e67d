-- SQL text: rowcall.short_key() of a source table's row under the given alias. That function itself only where it must be: called for each
-- row, it would set its search_path for each.
create or replace function rowcall_internal.short_key_sql(source rowcall_internal.source_tables, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when source.key_types <@ '{smallint,integer,bigint}'::regtype[] and cardinality(source.key_columns) = 1
        -- By its output function: the column may get a type whose owner has made a cast to text.
        then format('pg_catalog.chr(96 + pg_catalog.length(pg_catalog.concat(%1$s.%2$I))) || pg_catalog.concat(%1$s.%2$I)', alias, source.key_columns[1])
        when source.key_types = '{uuid}'::regtype[]
        -- The column may get another type, with values that are no UUIDs.
        then format('case when pg_catalog.pg_typeof(%1$s.%2$I)::pg_catalog.oid = %3$s then ''u'' || pg_catalog.translate(pg_catalog.encode('
            'pg_catalog.decode(pg_catalog.translate(pg_catalog.concat(%1$s.%2$I), ''-'', ''''), ''hex''), ''base64''), '
            '''ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/='', ''-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz'') '
            'else rowcall.short_key(%4$s) end', alias, source.key_columns[1], 'uuid'::regtype::oid, key)
        when cardinality(source.key_columns) <= 3
            and source.key_types <@ '{smallint,integer,bigint,uuid,date,timestamp,timestamptz,oid,boolean}'::regtype[]
        then '(' || key || ')::pg_catalog.text'
        -- A string that is as long as a UUID may be one: the function finds out.
        else format('case when %2$s <= 500 then (%1$s)::pg_catalog.text else rowcall.short_key(%1$s) end', key, format(
            case when cardinality(source.key_columns) = 1 then 'nullif(pg_catalog.octet_length((%s)::pg_catalog.text), %s)'
                else 'pg_catalog.octet_length((%s)::pg_catalog.text)' end, key,
            octet_length(jsonb_build_object(source.key_columns[1], '00000000-0000-0000-0000-000000000000')::text))) end
    from rowcall_internal.key_sql(source, alias) as key
$$;
