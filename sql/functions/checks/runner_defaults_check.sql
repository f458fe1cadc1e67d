-- Before an edit of rowcall.runner_defaults: checks the row by itself. The rows of rowcall.parameters with that runner
-- are not checked: a row that becomes wrong does not prevent the edit, and its jobs become blocked with the reason.
create or replace function rowcall_internal.runner_defaults_check() returns trigger
language plpgsql security definer
-- Planned for thousands of rows where there are dozens: compiling would take longer than all else.
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong record;
begin
    -- First, because other errors repeat what they refuse.
    if tg_op = 'INSERT' or new.settings is distinct from old.settings then
        select * into wrong from rowcall_internal.secret_error(new.runner, 'settings', new.settings);
        if wrong.error is not null then
            raise exception 'runner_defaults.%', wrong.error
                using errcode = '23514', column = 'settings', hint = wrong.hint;
        end if;
    end if;
    if jsonb_typeof(new.settings) = 'object' and not rowcall_internal.setting_fits('object', null, 100, null, new.settings) then
        raise exception 'runner_defaults.settings must be an object of at most 100 levels'
            using errcode = '23514', column = 'settings', hint = 'The daemon reads no deeper settings.';
    end if;
    select * into wrong from rowcall_internal.settings_error(new.runner, new.settings);
    if wrong.error is not null then
        raise exception 'runner_defaults.%', wrong.error
            using errcode = '23514', column = 'settings', hint = wrong.hint;
    end if;
    return new;
end
$$;
drop trigger if exists runner_defaults_check on rowcall.runner_defaults;
create trigger runner_defaults_check before insert or update on rowcall.runner_defaults
    for each row execute function rowcall_internal.runner_defaults_check();
