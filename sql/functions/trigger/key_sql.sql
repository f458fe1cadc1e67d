-- SQL text that builds the row key of a source table's row under the given alias: jsonb_build_object('id', n.id).
--
-- Equal keys have one text, different keys have different ones, whatever the session's settings but for the zone, which
-- must be UTC where a column is a timestamptz. A numeric goes in as a string, since readers of JSON round numbers.
--
-- Triggers keep this text, and run it with the rights of Rowcall's owner. So it asks of which type the columns are by then: of one that a
-- user has made, which may have a cast to json or text that is code of that user, a value goes in as its type writes it.
create or replace function rowcall_internal.key_sql(source rowcall_internal.source_tables, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when guard is null then built else format('case when %s then %s else pg_catalog.jsonb_build_object(%s) end', guard, built, plain) end
    from (
        select string_agg(case when p.operand is null then rowcall_internal.has_own_type_sql(source, alias, p.key_column) end, ' and '
                order by p.position) as guard,
            string_agg(format('%L, pg_catalog.concat(%s.%I)', p.key_column, alias, p.key_column), ', ' order by p.position) as plain,
            'pg_catalog.jsonb_build_object(' || string_agg(format('%L, ', p.key_column) || format(
                case when p.key_type = 'numeric'::regtype then 'pg_catalog.trim_scale(%s.%I)::pg_catalog.text'
                     -- Without the blanks that fill it up.
                     when p.key_type = 'bpchar'::regtype then '%s.%I::pg_catalog.text'
                     when p.key_type = 'bytea'::regtype then 'pg_catalog.concat(pg_catalog.chr(92), ''x'', pg_catalog.encode(%s.%I, ''hex''))'
                     -- By its output function: a cast to text or to json may be one that the type's owner has made.
                     when p.equals = 'operator(pg_catalog.=)' and p.operand is not null then 'pg_catalog.concat(%s.%I)'
                     -- citext, which is equal where this is.
                     when p.operand is not null then 'pg_catalog.lower(pg_catalog.concat(%s.%I) collate pg_catalog."default")'
                     else '%s.%I' end,
                alias, p.key_column), ', ' order by p.position) || ')' as built
        from rowcall_internal.key_parts(source) p) k
$$;
