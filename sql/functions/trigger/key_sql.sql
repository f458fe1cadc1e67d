-- SQL text that builds the row key of a source table's row under the given alias: jsonb_build_object('id', n.id).
--
-- Equal keys have one text, different keys have different ones, whatever the session's settings but for the zone, which
-- must be UTC where a column is a timestamptz. A numeric goes in as a string, since readers of JSON round numbers.
create or replace function rowcall_internal.key_sql(source rowcall_internal.source_tables, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select 'pg_catalog.jsonb_build_object(' || string_agg(format('%L, ', p.key_column) || format(
        case when p.key_type = 'numeric'::regtype then 'pg_catalog.trim_scale(%s.%I)::pg_catalog.text'
             -- Without the blanks that fill it up.
             when p.key_type = 'bpchar'::regtype then '%s.%I::pg_catalog.text'
             when p.key_type = 'bytea'::regtype then 'pg_catalog.concat(pg_catalog.chr(92), ''x'', pg_catalog.encode(%s.%I, ''hex''))'
             -- By its output function: a cast to text or to json may be one that the type's owner has made.
             when p.equals = 'operator(pg_catalog.=)' and p.operand is not null then 'pg_catalog.concat(%s.%I)'
             -- citext, which is equal where this is.
             when p.operand is not null then 'pg_catalog.lower(pg_catalog.concat(%s.%I) collate pg_catalog."default")'
             else '%s.%I' end,
        alias, p.key_column), ', ' order by p.position) || ')'
    from rowcall_internal.key_parts(source) p
$$;
