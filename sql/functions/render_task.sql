-- What a task would be given for a row: its templates rendered over a context, as far as that can be told here. A
-- template that fails, or that only the daemon can tell, stays as it stands, and is named in errors or in unsure.
create or replace function rowcall.render_task(task rowcall.parameters, merged jsonb, context jsonb,
    out command text[], out environment jsonb, out settings jsonb, out concurrency_key text,
    out errors text[], out unsure text[])
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
    unsure := '{}';
    for part in
        select 'command' as column_name, position, null::text as name, format('command[%s]', position) as place, template
        from unnest(task.command) with ordinality as c(template, position)
        union all
        select 'environment', null, e.key, 'environment.' || e.key, e.value from jsonb_each_text(task.environment) e
        union all
        select 'concurrency_key', null, null, 'concurrency_key', task.concurrency_key where task.concurrency_key is not null
    loop
        -- A job has its number only once it is there.
        if not context->'job' ? 'id'
            and part.template ~ '\{\{[^}]*(?<![.\w])job\M(?!\s*\.\s*(task|attempt|row_key|on_status)\M)'
        then
            one := row(null::text, null::text, part.template);
            unsure := unsure || format('%s (the job''s number, before there is a job)', part.place);
        else
            select r.rendered, r.error, r.unsure into one from rowcall.render(part.template, context) r;
            if one.error is not null then
                errors := errors || format('parameters.%s: %s', part.place, one.error);
            elsif one.unsure is not null then
                unsure := unsure || part.place;
            end if;
        end if;
        if part.column_name = 'concurrency_key' then
            concurrency_key := one.rendered;
        elsif one.rendered is null then
            continue;
        elsif part.column_name = 'command' then
            command[part.position] := one.rendered;
        else
            environment := jsonb_set(environment, array[part.name], to_jsonb(one.rendered));
        end if;
    end loop;
    if task.runner = 'lambda' and settings ? 'payload' then
        select * into one from rowcall.render_strings(settings->'payload', 'settings.payload', context);
        settings := jsonb_set(settings, '{payload}', one.rendered);
        errors := errors || one.errors;
        unsure := unsure || one.unsure;
    end if;
end
$$;
