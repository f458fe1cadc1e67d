-- Before an edit of rowcall.parameters: checks what the row tells its runner (target, settings, the length of ECS
-- overrides). Only a change of these is checked, so that a row that runner_defaults made wrong can still be
-- disabled.
create or replace function rowcall_internal.parameters_check_settings() returns trigger
language plpgsql security definer
-- Planned for thousands of rows where there are dozens: compiling would take longer than all else.
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong record;
    fixed bigint;
begin
    if tg_op = 'INSERT' or new.runner <> old.runner or new.target <> old.target then
        select rowcall_internal.target_error(new.runner, new.target) as error into wrong;
        if wrong.error is not null then
            raise exception 'parameters.target: %', wrong.error
                using errcode = '23514', column = 'target',
                      hint = 'A target is not a template. Each runner has its own form of it (docs/parameters.md).';
        end if;
    end if;
    if jsonb_typeof(new.settings) = 'object'
        and (tg_op = 'INSERT' or new.runner <> old.runner or new.settings <> old.settings)
    then
        select * into wrong from rowcall_internal.settings_error(new.runner, new.settings);
        if wrong.error is null then
            select c.* into wrong
            from rowcall.runner_defaults d
            cross join rowcall_internal.settings_conflict(new.runner, jsonb_strip_nulls(d.settings || new.settings)) c
            where d.runner = new.runner;
        end if;
        if wrong.error is not null then
            raise exception 'parameters.%', wrong.error
                using errcode = '23514', column = 'settings', hint = wrong.hint;
        end if;
    end if;
    if new.runner = 'ecs' and (tg_op = 'INSERT' or (new.runner, new.command, new.environment)
        is distinct from (old.runner, old.command, old.environment))
    then
        -- What is no template is as long as it stands here, with quotes and commas; 400 are Rowcall's own variables.
        select 400 + coalesce(sum(length(to_json(part)::text) + 1), 0) into fixed
        from (
            select unnest(new.command)
            union all
            select case when jsonb_typeof(e.value) = 'string' then e.value #>> '{}' end
            from jsonb_each(case when jsonb_typeof(new.environment) = 'object' then new.environment else '{}' end) e
        ) parts(part)
        where part !~ '\{\{';
        if fixed > 8192 then
            raise exception 'parameters.command and environment come to about % characters of container overrides, and ECS takes 8192', fixed
                using errcode = '23514', column = 'command',
                      hint = 'Let the task read long values from its row, with task_start.';
        end if;
    end if;
    return new;
end
$$;
-- Triggers fire in the order of their names: the form of the columns is checked before this.
drop trigger if exists parameters_check_settings on rowcall.parameters;
create trigger parameters_check_settings before insert or update on rowcall.parameters
    for each row execute function rowcall_internal.parameters_check_settings();
