-- What a task would be given for a row: command, environment and settings, with their templates rendered over a
-- context. A template that fails stays unrendered, and "errors" names it.
create or replace function rowcall_internal.render_task(task rowcall.parameters, merged jsonb, context jsonb,
    out command text[], out environment jsonb, out settings jsonb, out errors text[])
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    part record;
    one record;
begin
    command := task.command;
    environment := task.environment;
    settings := merged;
    errors := '{}';
    for part in
        select position, null::text as name, format('command[%s]', position) as place, template
        from unnest(task.command) with ordinality as c(template, position)
        union all
        select null, e.key, 'environment.' || e.key, e.value from jsonb_each_text(task.environment) e
    loop
        select * into one from rowcall.render(part.template, context);
        errors := errors || array_remove(array['parameters.' || part.place || ': ' || one.error], null);
        if one.rendered is null then
            continue;
        elsif part.name is null then
            command[part.position] := one.rendered;
        else
            environment := jsonb_set(environment, array[part.name], to_jsonb(one.rendered));
        end if;
    end loop;
    if task.runner = 'lambda' and settings ? 'payload' then
        select * into one from rowcall_internal.render_strings(settings->'payload', 'settings.payload', context);
        settings := jsonb_set(settings, '{payload}', one.rendered);
        errors := errors || one.errors;
    end if;
end
$$;
