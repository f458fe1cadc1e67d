-- The value of one expression of a template: that of its first term that is neither missing nor null. A string is
-- itself; any other value is its jsonb text, so that no digit is lost. Missing and null values pass through upper,
-- lower and trim to "or" and default(). A column that the table does not have is an error, whatever follows.
create or replace function rowcall_internal.render_expression(terms jsonb, context jsonb, out value text, out error text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    -- For what tojson has made no string of: the same as for btrim() everywhere.
    space constant text := E' \t\n\r\f\x0b';
    term jsonb;
    step record;
    filter jsonb;
    result jsonb;
begin
    for term in select t.value from jsonb_array_elements(terms) t loop
        if term ? 'literal' then
            result := term -> 'literal';
        else
            result := context;
            for step in
                select s.position, s.value #>> '{}' as key, jsonb_typeof(s.value) as kind
                from jsonb_array_elements(term -> 'path') with ordinality s(value, position) order by s.position
            loop
                result := case
                    when step.kind = 'string' and jsonb_typeof(result) = 'object' then result -> step.key
                    when step.kind = 'number' and jsonb_typeof(result) = 'array' then result -> step.key::int end;
                if result is null and step.position = 2 and term -> 'path' ->> 0 = 'row' then
                    error := format('the table has no column %s', left(step.key, 63));
                    return;
                end if;
            end loop;
        end if;

        for filter in select f.value from jsonb_array_elements(term -> 'filters') with ordinality f(value, position) order by f.position loop
            if filter ->> 0 = 'default' then
                if coalesce(result, 'null') = 'null' then
                    result := filter -> 1;
                end if;
            elsif filter ->> 0 = 'tojson' then
                result := to_jsonb(result::text);
            elsif coalesce(result, 'null') = 'null' then
                continue;
            elsif jsonb_typeof(result) <> 'string' then
                error := format('%s takes a string, and the value is of type %s', filter ->> 0, jsonb_typeof(result));
                return;
            else
                result := to_jsonb(case filter ->> 0
                    when 'upper' then upper((result #>> '{}') collate "C")
                    when 'lower' then lower((result #>> '{}') collate "C")
                    else btrim(result #>> '{}', space) end);
            end if;
        end loop;
        exit when coalesce(result, 'null') <> 'null';
    end loop;

    if result is null then
        error := 'a name in it does not exist for this row';
    elsif result = 'null' then
        error := 'the value is null (write {{ value or ''text'' }} if that is meant)';
    else
        value := result #>> '{}';
    end if;
end
$$;
