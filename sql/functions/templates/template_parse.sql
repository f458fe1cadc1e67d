-- The parts of a template: a string is itself, an object is an expression with its source and its terms
-- (rowcall_internal.template_expression). Or the first error, with its place. The check of an edit and the renderer
-- both read templates here, so that each template that is accepted can be read; src/parameters/template/parse.rs reads
-- the same.
create or replace function rowcall_internal.template_parse(template text, out parts jsonb, out error text)
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    -- A bound on the work that one row can ask for; an argument needs two or three.
    most constant int := 100;
    rest text := template;
    opening text;
    place int;
    expressions int := 0;
    expression record;
begin
    parts := '[]';
    loop
        opening := substring(rest from '\{[{%#]');
        place := case when opening is null then length(rest) + 1 else strpos(rest, opening) end;
        if place > 1 then
            parts := parts || to_jsonb(left(rest, place - 1));
        end if;
        exit when opening is null;
        rest := substr(rest, place);
        if opening <> '{{' then
            error := format('%s: a template has no blocks and no comments; for the characters %s, write {{ ''%s'' }}',
                left(rest, 20), opening, opening);
        elsif expressions = most then
            error := format('it has more than %s expressions', most);
        else
            select * into expression from rowcall_internal.template_expression(substr(rest, 3));
            error := rowcall_internal.template_shown(rest) || ': ' || expression.error;
        end if;
        if error is not null then
            parts := null;
            return;
        end if;
        parts := parts || jsonb_build_object('source', left(rest, expression.length + 2), 'terms', expression.terms);
        rest := substr(rest, expression.length + 3);
        expressions := expressions + 1;
    end loop;
end
$$;
