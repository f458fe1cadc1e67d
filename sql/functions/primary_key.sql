-- The columns of a table's primary key and their types; nulls if it has none.
create or replace function rowcall.primary_key(source regclass, out columns text[], out types text[])
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(a.attname::text order by k.position), array_agg(format_type(a.atttypid, a.atttypmod) order by k.position)
    from pg_index i
    cross join unnest(i.indkey::int2[]) with ordinality as k(attnum, position)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = source and i.indisprimary and k.position <= i.indnkeyatts -- not the INCLUDE columns
$$;
