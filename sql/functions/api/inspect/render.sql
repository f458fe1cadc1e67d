-- Renders a template with the values of a context: returns the string, or the first error with its place. The daemon's
-- renderer (src/parameters/template) returns the same to the letter; tests compare the two.
create or replace function rowcall.render(template text, context jsonb, out rendered text, out error text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- No runner takes more, and a row may hold a string of any length.
    most constant int := 1048576;
    parsed record;
    part jsonb;
    expression record;
begin
    select * into parsed from rowcall_internal.template_parse(template);
    error := parsed.error;
    if error is not null then
        return;
    end if;
    rendered := '';
    for part in select value from jsonb_array_elements(parsed.parts) loop
        if jsonb_typeof(part) = 'string' then
            rendered := rendered || (part #>> '{}');
        else
            select * into expression from rowcall_internal.render_expression(part -> 'terms', context);
            error := rowcall_internal.template_shown(part ->> 'source') || ': ' || expression.error;
            rendered := rendered || expression.value;
        end if;
        if octet_length(rendered) > most then
            error := format('the rendered string has more than %s bytes', most);
        end if;
        if error is not null then
            rendered := null;
            return;
        end if;
    end loop;
end
$$;
