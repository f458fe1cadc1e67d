-- Renders one template of a task for rowcall.preview(): the text, or the daemon's error with the column's name, or, as
-- "unsure", the place of what only the daemon can tell. All null without a template.
create or replace function rowcall.render_task_part(place text, template text, context jsonb,
    out rendered text, out error text, out unsure text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if template is null then
        return;
    end if;
    -- A job has its number only once it is there.
    if not context->'job' ? 'id'
        and template ~ '\{\{[^}]*(?<![.\w])job\M(?!\s*\.\s*(task|attempt|row_key|on_status)\M)'
    then
        unsure := place || ' (the job''s number, before there is a job)';
        return;
    end if;
    select r.rendered, 'parameters.' || place || ': ' || r.error, case when r.unsure is not null then place end
    into rendered, error, unsure
    from rowcall.render(template, context) r;
end
$$;
