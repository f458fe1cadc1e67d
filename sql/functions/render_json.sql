-- A JSON value as the daemon's filter tojson writes it, or null where only the daemon can tell, as of what is nested
-- without end.
create or replace function rowcall.render_json(value jsonb, depth int default 0) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if depth > 100 then
        return null;
    end if;
    return case jsonb_typeof(value)
        when 'string' then
            replace(replace(replace(replace(value::text, '<', '\u003c'), '>', '\u003e'), '&', '\u0026'), '''', '\u0027')
        -- A decimal so small is written with an exponent.
        when 'number' then case when value::numeric = 0 or abs(value::numeric) >= 0.00001
            or value::text !~ '\.' then rowcall.render_number(value) end
        when 'array' then (
            select '[' || coalesce(string_agg(i.text, ', ' order by i.position), '') || ']'
            from (select position, rowcall.render_json(item, depth + 1) as text
                  from jsonb_array_elements(value) with ordinality as items(item, position)
                  -- Else it would be rendered wherever it is named below, at each level anew.
                  offset 0) i
            having count(*) = count(i.text))
        when 'object' then (
            select '{' || coalesce(string_agg(rowcall.render_json(to_jsonb(m.key)) || ': ' || m.text, ', '
                order by m.key collate "C"), '') || '}'
            from (select e.key, rowcall.render_json(e.value, depth + 1) as text from jsonb_each(value) e offset 0) m
            having count(*) = count(m.text))
        else value::text
    end;
end
$$;
