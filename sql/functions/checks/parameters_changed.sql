-- After an edit of rowcall.parameters: writes the history, releases the blocked jobs of this task and of its table's
-- other tasks, forgets the jobs' concurrency keys if their template changed, and notifies the dispatchers.
create or replace function rowcall_internal.parameters_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into rowcall_internal.parameters_history (name, version, operation, old, new)
    values (coalesce(new.name, old.name), coalesce(new.version, old.version + 1), tg_op, to_jsonb(old), to_jsonb(new));
    -- Those of the table's other tasks, too: this one may have ended a loop that they were part of.
    perform rowcall.release_blocked(array[old.name, new.name] || array(
        select p.name from rowcall.parameters p where p.source_table in (old.source_table, new.source_table)));
    -- Another template, other keys: jobs that wait are counted anew.
    if tg_op = 'INSERT' and new.version > 1
        or tg_op = 'UPDATE' and (new.concurrency_key, new.name) is distinct from (old.concurrency_key, old.name)
    then
        perform rowcall_internal.forget_concurrency_keys(array[new.name]);
    end if;
    perform rowcall_internal.notify('rowcall_parameters');
    return null;
end
$$;
drop trigger if exists parameters_changed on rowcall.parameters;
create trigger parameters_changed after insert or update or delete on rowcall.parameters
    for each row execute function rowcall_internal.parameters_changed();
