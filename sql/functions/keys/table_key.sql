-- The key by which Rowcall names the rows of a table: the columns named, or else those of its primary key, with their
-- types. Or the problem with it, and a hint.
create or replace function rowcall_internal.table_key(
    source regclass, named text[], out columns text[], out types regtype[], out problem text, out hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    another constant text := format('SELECT rowcall.watch(%L, key => ''{columns}'') takes another unique key whose columns '
        'are NOT NULL.', source);
    k record;
begin
    columns := coalesce(named, (
        select array_agg(a.attname::text order by u.place)
        from pg_index i
        cross join unnest(i.indkey::int2[]) with ordinality as u(attnum, place)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
        where i.indrelid = source and i.indisprimary and u.place <= i.indnkeyatts)); -- not the INCLUDE columns
    if columns is null then
        problem := format('table %s has no primary key', source);
        hint := 'A job finds its row by a key: add a primary key first. Or ' || another;
        return;
    end if;
    if named is not null then
        select n.problem, n.hint into problem, hint from rowcall_internal.named_key_problem(source, named) n;
        if problem is not null then
            return;
        end if;
    end if;

    types := rowcall_internal.column_types(source, columns);
    for k in
        select u.name, u.type, rowcall_internal.key_type_allowed(u.type) as allowed, format_type(a.atttypid, a.atttypmod) as declared,
            c.collisdeterministic, c.collname
        from unnest(columns, types) as u(name, type)
        join pg_attribute a on a.attrelid = source and a.attname = u.name and not a.attisdropped
        left join pg_collation c on c.oid = a.attcollation
    loop
        if not k.allowed then
            problem := format('column %s of the key of table %s has the type %s', quote_ident(k.name), source, k.declared);
            hint := 'The columns of a key may be smallint, integer, bigint, numeric, text, varchar, char, citext, bytea, uuid, '
                'boolean, date, time, timestamp, timestamptz, enums, and domains over these. ' || another;
        elsif k.type = any ('{text,varchar,bpchar}'::regtype[]) and not k.collisdeterministic then
            problem := format('column %s of the key of table %s has the collation %s, under which different strings are equal',
                quote_ident(k.name), source, quote_ident(k.collname));
            hint := 'The columns of a key must have a deterministic collation; or use citext. ' || another;
        end if;
        exit when problem is not null;
    end loop;
end
$$;
