-- After an edit of rowcall.parameters: refuses a loop of statuses, an owner that no row can ever reach, and a second
-- owner on the on_status of a task with status_running_by "task", because it would take the rows away by which that
-- task finds its work. It runs after the statement, to see all edited rows together. For a change in several
-- statements, run SET CONSTRAINTS rowcall.parameters_check_loop DEFERRED first.
create or replace function rowcall_internal.parameters_check_loop() returns trigger
language plpgsql security definer
-- Planned for thousands of rows where there are dozens: compiling would take longer than all else.
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    loop_of_it text;
    other text;
    shadowed record;
begin
    -- A loop that is there already does not prevent other edits. (jsonpath has no equality of its own.)
    if tg_op = 'UPDATE'
        and (old.name, old.enabled, old.source_table, old.on_status, old.condition::text, old.route_order, old.status_running,
             old.status_running_by, old.status_succeeded, old.status_failed, old.status_runner_failed)
        is not distinct from
            (new.name, new.enabled, new.source_table, new.on_status, new.condition::text, new.route_order, new.status_running,
             new.status_running_by, new.status_succeeded, new.status_failed, new.status_runner_failed)
    then
        return null;
    end if;
    select p.name into other from rowcall.parameters p
    where p.source_table = new.source_table and p.on_status = new.on_status and p.name <> new.name
      and p.enabled and new.enabled and 'task' in (p.status_running_by, new.status_running_by)
      and p.name in (select name from rowcall_internal.owners) and new.name in (select name from rowcall_internal.owners)
    limit 1;
    if found then
        raise exception 'parameters.status_running_by: % and % cannot share on_status %: one of them finds its rows by it',
                new.name, other, to_json(new.on_status)
            using errcode = '23514', column = 'status_running_by',
                  hint = 'Give one of them another on_status; the status_succeeded of the other, for example.';
    end if;
    select b.owner as first, later.name as later into shadowed
    from rowcall_internal.owners_before b join rowcall.parameters later on later.name = b.task
    where new.name in (b.owner, b.task) and b.enabled and later.enabled
      and (b.condition is null or b.condition::text = later.condition::text)
    limit 1;
    if found then
        raise exception 'parameters: % would never run: % takes every row of % in the status % that it could have',
                shadowed.later, shadowed.first, new.source_table, to_json(new.on_status)
            using errcode = '23514', column = 'route_order',
                  hint = 'One task owns a row''s status: the first by route_order, then name, whose condition holds. Give the '
                      'first a condition, the other a lower route_order or another on_status; or set status_running, '
                      'status_succeeded, status_failed and status_runner_failed of one to null: it then runs beside the owner and writes results only.';
    end if;
    loop_of_it := rowcall.status_loop(new.name);
    if loop_of_it is not null then
        raise exception 'parameters: % would run for ever: %', new.name, loop_of_it
            using errcode = '23514', column = 'on_status',
                  hint = 'Give one of these tasks another status, disable one, or give one a condition that ends the loop: '
                      'tasks with a condition are not counted as part of a loop.';
    end if;
    return null;
end
$$;
drop trigger if exists parameters_check_loop on rowcall.parameters;
create constraint trigger parameters_check_loop after insert or update on rowcall.parameters
    deferrable initially immediate
    for each row execute function rowcall_internal.parameters_check_loop();
