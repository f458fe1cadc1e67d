-- What each task of a source table would do with a row, as the row is now but with the task's on_status: one line for
-- each task, also if it would not run.
--
-- runs: true if a dispatcher would start it once the row enters that status, at once or when there is room; false if
-- something must be changed first. why: what must be changed, or what it waits for. A template that fails is shown
-- unrendered.
create or replace function rowcall.preview(source regclass, key text)
returns table (task text, runs boolean, why text, runner text, target text, command text[], environment jsonb,
               settings jsonb, limits jsonb, write_back jsonb)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- With it, the name of a type is not the one that was written down.
set quote_all_identifiers = off
as $$
#variable_conflict use_column
declare
    wanted jsonb := rowcall.row_key(source, key);
    part record;
    p rowcall.parameters;
    merged jsonb;
    given record;
    against text[];
begin
    for part in select * from rowcall_internal.preview_parts(source, wanted) loop
        select * into p from rowcall.parameters t where t.name = part.task;
        merged := coalesce((select d.settings from rowcall.runner_defaults d where d.runner = p.runner), '{}') || p.settings;
        select * into given from rowcall_internal.render_task(p, merged,
            rowcall_internal.preview_context(p, part.job_id, part.attempt, wanted, part.row_data));
        against := part.against || given.errors || array(
            select s.error from rowcall_internal.settings_error(p.runner, jsonb_strip_nulls(merged)) s where s.error is not null
            union all
            select c.error from rowcall_internal.settings_conflict(p.runner, jsonb_strip_nulls(merged)) c where c.error is not null
            union all
            select format('settings.%s is missing', k.key) from rowcall.settings_keys() k
            where k.runner = p.runner and k.needed and k.key !~ '\[' and coalesce(merged->k.key, 'null') = 'null');

        task := p.name;
        runs := against = '{}';
        why := nullif(array_to_string(against || part.waits, '; '), '');
        runner := p.runner;
        target := p.target;
        command := given.command;
        environment := given.environment;
        settings := given.settings;
        limits := part.limits;
        write_back := part.write_back;
        return next;
    end loop;
end
$$;

-- The same for a key of any type.
create or replace function rowcall.preview(source regclass, key anyelement)
returns table (task text, runs boolean, why text, runner text, target text, command text[], environment jsonb,
               settings jsonb, limits jsonb, write_back jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select * from rowcall.preview(source, rowcall.key_text(key))
$$;
