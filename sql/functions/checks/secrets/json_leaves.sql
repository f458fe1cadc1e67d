-- The strings and numbers in a JSON value, each with its place (settings.payload.a[0]) and the name of the member that
-- it is in.
create or replace function rowcall_internal.json_leaves(root text, member text, value jsonb)
returns table (place text, name text, kind text, plain text)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    with recursive walk as (
        select json_leaves.root as place, json_leaves.member as name, json_leaves.value
        union all
        select w.place || c.step, coalesce(c.key, w.name), c.value
        from walk w
        cross join lateral (
            select '.' || e.key as step, e.key, e.value
            from jsonb_each(case when jsonb_typeof(w.value) = 'object' then w.value else '{}' end) e
            union all
            select format('[%s]', i.position - 1), null, i.value
            from jsonb_array_elements(case when jsonb_typeof(w.value) = 'array' then w.value else '[]' end)
                with ordinality i(value, position)
        ) c
    )
    select w.place, w.name, jsonb_typeof(w.value), w.value #>> '{}'
    from walk w where jsonb_typeof(w.value) in ('string', 'number')
    order by 1
$$;
