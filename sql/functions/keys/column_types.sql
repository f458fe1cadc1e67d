-- The types of these columns of a table, in the order given; null for a column that does not exist. For a domain it is
-- the type that the domain is over: values have that type, and the domain's checks must not run here.
create or replace function rowcall_internal.column_types(source regclass, columns text[]) returns regtype[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with recursive chain as (
        select k.place, a.atttypid as type, 0 as depth
        from unnest(columns) with ordinality as k(name, place)
        left join pg_attribute a on a.attrelid = source and a.attname = k.name and a.attnum > 0 and not a.attisdropped
        union all
        select c.place, t.typbasetype, c.depth + 1 from chain c join pg_type t on t.oid = c.type where t.typtype = 'd'
    )
    select array_agg(type::regtype order by place)
    from (select distinct on (place) place, type from chain order by place, depth desc) deepest
$$;
