-- The columns of a source table's key, and what statements need to compare them. read_as: the type as which a key's
-- string is read, without a length, so that nothing is cut. equals: the = operator of the key. operand: the type to
-- which the column is cast for that operator, or null.
--
-- Statements may run under another search path, on which another user has made operators, so every name has its schema.
-- Other users may make operators for types outside pg_catalog, so these have an operand: an operator for a domain over
-- the type is then no better a match.
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
