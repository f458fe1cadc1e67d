-- The first secret in a column of rowcall.parameters or runner_defaults: an error that names its place and does not
-- repeat it, and a hint where it belongs; nulls if there is none. Viewers can read these columns, and ECS, Lambda and
-- Docker show them to more people.
create or replace function rowcall_internal.secret_error(runner text, place text, value jsonb, out error text, out hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    leaf record;
    kind text;
begin
    for leaf in
        select l.place, l.plain,
            -- An option and its value may be two arguments; the argument itself has no name.
            case when secret_error.place <> 'command' then l.name
                 when l.plain !~ '^-' then substring(lag(l.plain) over (order by l.position) from '^--?([A-Za-z][A-Za-z0-9_-]*)$') end as name,
            case when secret_error.place = 'command' then format('command[%s]', l.position) else l.place end as shown
        from (select w.*, row_number() over (order by substring(w.place from '\[([0-9]+)\]$')::int, w.place) as position
              from rowcall_internal.json_leaves(secret_error.place, null, secret_error.value) w) l
        order by l.position
    loop
        kind := rowcall_internal.secret_kind(leaf.name, leaf.plain);
        if kind is not null then
            error := format('%s looks like %s; secrets must not stand here', leaf.shown, kind);
            hint := concat(case runner
                when 'ecs' then 'Keep it in Secrets Manager or SSM, and name it under "secrets" of the container in the task definition (docs/ecs.md).'
                when 'lambda' then 'Let the function fetch it from Secrets Manager, by its own role, or keep it in the function''s own configuration (docs/lambda.md).'
                when 'docker' then 'Keep it in a file on the engine''s machine and mount that (settings.mounts, which the daemon''s runners.docker.mounts allows), and pass its path.'
                when 'process' then 'Keep it in a file that the daemon''s user can read and pass its path, or in the daemon''s own environment and name the variable in its runners.process.pass_environment.'
                else 'Keep it where the task can fetch it, and pass its name.' end,
                ' Its path, its ARN or a template may stand here.');
            return;
        end if;
    end loop;
end
$$;
