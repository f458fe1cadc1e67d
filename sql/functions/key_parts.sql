-- The columns of a row key as the table has them now: the recorded name and type; the type that a key's text is cast to,
-- without a length, which would cut it, and with it; whether the value goes into the key as its text; and "=" of the
-- primary key. A domain counts as what it is over: its checks have passed, and are not ours to run. By the table, and not
-- by the recorded type's name, which may be another type's by now.
create or replace function rowcall.key_parts(source rowcall.source_tables)
returns table ("position" bigint, key_column text, key_type text, plain text, bounded text, as_text boolean,
               equals text, operand text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with recursive chain as (
        select k.place, k.name, k.recorded, a.attnum, a.atttypid as type, a.atttypmod as typmod, 0 as depth
        from unnest(source.key_columns, source.key_types) with ordinality as k(name, recorded, place)
        left join pg_attribute a on a.attrelid = source.relation and a.attname = k.name and a.attnum > 0 and not a.attisdropped
        union all
        select c.place, c.name, c.recorded, c.attnum, t.typbasetype,
            case when c.typmod >= 0 then c.typmod else t.typtypmod end, c.depth + 1
        from chain c join pg_type t on t.oid = c.type where t.typtype = 'd'
    )
    select distinct on (c.place) c.place, c.name, c.recorded,
        coalesce(format_type(c.type, -1), 'text'), coalesce(format_type(c.type, c.typmod), 'text'),
        -- What to_jsonb() makes a list or an object of; and a range has dates in it as the writer writes them.
        coalesce(t.typtype in ('c', 'r', 'm') or t.typcategory = 'A' or t.oid in ('json'::regtype, 'jsonb'::regtype)
            or exists (select from pg_cast where castsource = t.oid and casttarget = 'json'::regtype), false),
        coalesce(o.equals, 'operator(pg_catalog.=)'), o.operand
    from chain c
    left join pg_type t on t.oid = c.type
    left join lateral (
        -- The names of operators are looked for in the caller's path: this one is named with its schema, and where that
        -- is not pg_catalog, by the types it is for, so that it can be no other.
        select format('operator(%I.%s)', n.nspname, p.oprname) as equals,
            case when n.nspname <> 'pg_catalog' then format_type(s.opcintype, -1) end as operand
        from pg_index i
        cross join unnest(i.indkey::int2[], i.indclass::oid[]) as u(attnum, class)
        join pg_opclass s on s.oid = u.class
        join pg_amop m on m.amopfamily = s.opcfamily and m.amopstrategy = 3
            and m.amoplefttype = s.opcintype and m.amoprighttype = s.opcintype
        join pg_operator p on p.oid = m.amopopr
        join pg_namespace n on n.oid = p.oprnamespace
        where i.indrelid = source.relation and i.indisprimary and u.attnum = c.attnum
    ) o on true
    order by c.place, c.depth desc;
end
$$;
