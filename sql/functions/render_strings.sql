-- Renders every text in a JSON value in its place, as the daemon does with what the lambda runner sends. A text that
-- fails or cannot be told stays as it stands; "errors" and "unsure" name it.
create or replace function rowcall.render_strings(value jsonb, place text, context jsonb,
    out rendered jsonb, out errors text[], out unsure text[])
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    one record;
    part record;
begin
    rendered := value;
    errors := '{}';
    unsure := '{}';
    if jsonb_typeof(value) = 'string' then
        select * into one from rowcall.render_task_part(place, value #>> '{}', context);
        rendered := coalesce(to_jsonb(one.rendered), value);
        errors := array_remove(array[one.error], null);
        unsure := array_remove(array[one.unsure], null);
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
        select * into one from rowcall.render_strings(part.value, place || part.step, context);
        rendered := jsonb_set(rendered, array[part.member], one.rendered);
        errors := errors || one.errors;
        unsure := unsure || one.unsure;
    end loop;
end
$$;
