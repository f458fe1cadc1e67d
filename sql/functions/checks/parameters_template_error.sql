-- The first template in a changed column of rowcall.parameters that cannot be read, with an error and a hint; nulls if
-- there is none. In settings.payload of a lambda task every string is a template.
create or replace function rowcall_internal.parameters_template_error(
    parameters rowcall.parameters, changed text[], out place text, out error text, out hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    columns text[] := array(select attname from pg_attribute
        where attrelid = parameters.source_table and attnum > 0 and not attisdropped);
    template record;
    wrong record;
begin
    for template in
        select 'command' as col, format('command[%s]', position) as place, part
        from unnest(parameters.command) with ordinality c(part, position)
        union all
        select 'environment', 'environment.' || e.key, e.value #>> '{}' from jsonb_each(parameters.environment) e
        union all
        select 'settings', l.place, l.plain
        from rowcall_internal.json_leaves('settings.payload', null, parameters.settings -> 'payload') l
        where parameters.runner = 'lambda' and l.kind = 'string'
        union all
        select 'concurrency_key', 'concurrency_key', parameters.concurrency_key
    loop
        continue when template.col <> all (changed) or template.part is null;
        select * into wrong from rowcall_internal.template_error(template.part, columns);
        if wrong.error is not null then
            place := template.col;
            error := format('parameters.%s: %s', template.place, wrong.error);
            hint := wrong.hint;
            return;
        end if;
    end loop;
end
$$;
