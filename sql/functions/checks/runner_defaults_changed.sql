-- After an edit of rowcall.runner_defaults: writes the history, under a name such as runner_defaults.ecs (no task has a
-- dot in its name), releases the blocked jobs of the runner's tasks, and notifies the dispatchers.
create or replace function rowcall_internal.runner_defaults_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    its_name constant text := 'runner_defaults.' || coalesce(new.runner, old.runner);
begin
    insert into rowcall_internal.parameters_history (name, version, operation, old, new)
    values (its_name, 1 + coalesce((select max(h.version) from rowcall_internal.parameters_history h where h.name = its_name), 0),
            tg_op, to_jsonb(old), to_jsonb(new));
    perform rowcall.release_blocked(array(select name from rowcall.parameters where runner in (old.runner, new.runner)));
    -- The versions of the tasks, by which dispatchers remember what they have refused, stay the same.
    update rowcall_internal.jobs j set refused_by = null
    where j.id in (select id from rowcall_internal.jobs where refused_by is not null for update skip locked);
    perform rowcall_internal.notify('rowcall_parameters');
    return null;
end
$$;
drop trigger if exists runner_defaults_changed on rowcall.runner_defaults;
create trigger runner_defaults_changed after insert or update or delete on rowcall.runner_defaults
    for each row execute function rowcall_internal.runner_defaults_changed();
