-- Why these columns of a table cannot name its rows, and a hint; nulls if they can. They can if none of them is ever
-- null, and a valid unique index that is not deferrable is over exactly these columns.
create or replace function rowcall_internal.named_key_problem(source regclass, named text[], out problem text, out hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    listed text;
    numbers int2[];
    name text;
begin
    if cardinality(named) = 0 or array_ndims(named) > 1 or array_position(named, null) is not null
        or cardinality(named) > (select count(distinct c) from unnest(named) c)
    then
        problem := format('%s is not an array of different column names', named);
        hint := format('SELECT rowcall.watch(%L, key => ''{a,b}'') names the columns a and b.', source);
        return;
    end if;
    select string_agg(quote_ident(c), ', ' order by place) into listed from unnest(named) with ordinality as u(c, place);
    select array_agg(a.attnum), min(u.c) filter (where a.attnum is null) into numbers, name
    from unnest(named) as u(c)
    left join pg_attribute a on a.attrelid = source and a.attname = u.c and a.attnum > 0 and not a.attisdropped;
    if name is not null then
        problem := format('table %s has no column %s', source, quote_ident(name));
        hint := 'The key is an array of column names, each as the table spells it.';
        return;
    end if;
    -- In PostgreSQL 18 a constraint may be there and not hold for older rows.
    select a.attname into name from pg_attribute a
    where a.attrelid = source and a.attnum = any (numbers)
      and (not a.attnotnull or exists (
          select from pg_constraint c
          where c.conrelid = source and c.contype = 'n' and c.conkey = array[a.attnum] and not c.convalidated))
    order by a.attnum limit 1;
    if found then
        problem := format('column %s of the key of table %s may be null', quote_ident(name), source);
        hint := format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', source, name);
        return;
    end if;
    if not exists (
        select from pg_index i
        where i.indrelid = source and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
          and i.indnkeyatts = cardinality(numbers)
          and (i.indkey::int2[])[0:i.indnkeyatts - 1] @> numbers and numbers @> (i.indkey::int2[])[0:i.indnkeyatts - 1]
          -- It must hold equal what the column's type and collation do: citext is also taken by an index for text.
          and not exists (
              select from unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[]) as u(attnum, class, collation_id)
              join pg_attribute a on a.attrelid = source and a.attnum = u.attnum
              join pg_opclass c on c.oid = u.class
              join pg_type t on t.oid = (rowcall_internal.column_types(source, array[a.attname::text]))[1]
              where u.collation_id <> a.attcollation or t.typname = 'citext' and c.opcintype <> t.oid))
    then
        problem := format('table %s has no unique index over exactly (%s)', source, listed);
        hint := format('CREATE UNIQUE INDEX ON %s (%s); an index that is partial, deferrable, not valid or over expressions '
            'does not make a key.', source, listed);
    end if;
end
$$;
