-- The first changed column of a row of rowcall.parameters whose value does not have its form, with an error and a hint;
-- nulls if there is none. rowcall_internal.parameters_conflict() checks how columns fit together.
create or replace function rowcall_internal.parameters_form_error(
    parameters jsonb, changed text[], out place text, out error text, out hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    known record;
    value jsonb;
    shown text;
    item record;
    meant text;
begin
    for known in
        select c.*, string_to_array(substring(c.pattern from '\(([A-Za-z_|]+)'), '|') as words
        from rowcall.parameters_columns() c where c.form is not null and c."column" = any (changed)
    loop
        value := parameters -> known."column";
        continue when value = 'null' and known.nullable;
        -- In "default": a value that is not right for its form would raise there, and null is not right for any.
        continue when value <> 'null'
            and rowcall_internal.setting_fits(known.form, known.minimum, known.maximum, known.pattern, value);
        place := known."column";
        shown := known."column";
        if known.form = 'words' and jsonb_typeof(value) = 'array' then
            select i.position, i.value into item from jsonb_array_elements(value) with ordinality i(value, position)
            where not rowcall_internal.setting_fits('text', null, null, known.pattern, i.value) order by i.position limit 1;
            shown := format('%s[%s]', shown, item.position);
            value := item.value;
        end if;
        if known.form in ('word', 'words') and value <> 'null' then
            meant := rowcall_internal.similar_word(value #>> '{}', array_remove(known.words, value #>> '{}'));
            if meant is null and known.form = 'words' then
                meant := rowcall_internal.similar_word(upper(value #>> '{}'), known.words);
            end if;
        end if;
        error := format('parameters.%s must be %s, and is %s%s', shown, known.allowed,
            case when known.form = 'interval' and value <> 'null' then value #>> '{}'
                 when length(value::text) > 80 then left(value::text, 79) || '…'
                 else value::text end,
            '; did you mean ' || meant || '?');
        hint := known.help;
        return;
    end loop;
end
$$;
