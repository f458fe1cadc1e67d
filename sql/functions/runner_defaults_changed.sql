-- After an edit of runner_defaults: jobs that the old defaults blocked get another try.
create or replace function rowcall.runner_defaults_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform rowcall.release_blocked(array(select name from rowcall.parameters where runner in (old.runner, new.runner)));
    perform pg_notify('rowcall_parameters', '');
    return null;
end
$$;
drop trigger if exists runner_defaults_changed on rowcall.runner_defaults;
create trigger runner_defaults_changed after insert or update or delete on rowcall.runner_defaults
    for each row execute function rowcall.runner_defaults_changed();
