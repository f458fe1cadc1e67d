-- The columns of a source table's key, and what statements about them need: the type that a key's text is read as, which
-- has no length, so that it cuts nothing; and "=" of the key.
--
-- Statements may be read under another path, where somebody else may have made operators: so all is named with its
-- schema. For types outside pg_catalog, which is open to nobody, the operands have their type besides: an operator for a
-- domain over the type is then no better a match.
create or replace function rowcall_internal.key_parts(source rowcall_internal.source_tables)
returns table ("position" bigint, key_column text, key_type regtype, read_as text, equals text, operand text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select k.position, k.key_column, k.key_type,
        -- All whole numbers are compared as the largest kind, which their indexes know, so that a key may be widened.
        format('%I.%I', n.nspname, case
            when t.typname in ('int2', 'int4') and n.nspname = 'pg_catalog' then 'int8'
            when t.typname = 'varchar' and n.nspname = 'pg_catalog' then 'text'
            else t.typname end),
        -- That of enums is in pg_catalog: one for all of them.
        format('operator(%I.=)', case when t.typtype = 'e' then 'pg_catalog' else n.nspname end),
        case when n.nspname <> 'pg_catalog' then format('%I.%I', n.nspname, t.typname) end
    from unnest(source.key_columns, source.key_types) with ordinality as k(key_column, key_type, position)
    left join pg_type t on t.oid = k.key_type
    left join pg_namespace n on n.oid = t.typnamespace
    order by k.position;
end
$$;
