-- Renders every string in a JSON value, as the daemon does with settings.payload of a lambda task. A string that fails
-- stays unrendered, and "errors" names it.
create or replace function rowcall_internal.render_strings(value jsonb, place text, context jsonb,
    out rendered jsonb, out errors text[])
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    one record;
    part record;
begin
    rendered := value;
    errors := '{}';
    if jsonb_typeof(value) = 'string' then
        select * into one from rowcall.render(value #>> '{}', context);
        rendered := coalesce(to_jsonb(one.rendered), value);
        errors := array_remove(array['parameters.' || place || ': ' || one.error], null);
        return;
    end if;
    for part in
        select m.key as member, format('.%s', m.key) as step, m.value
        from jsonb_each(case when jsonb_typeof(value) = 'object' then value else '{}' end) m
        union all
        select (i.position - 1)::text, format('[%s]', i.position - 1), i.value
        from jsonb_array_elements(case when jsonb_typeof(value) = 'array' then value else '[]' end)
            with ordinality as i(value, position)
    loop
        select * into one from rowcall_internal.render_strings(part.value, place || part.step, context);
        rendered := jsonb_set(rendered, array[part.member], one.rendered);
        errors := errors || one.errors;
    end loop;
end
$$;
