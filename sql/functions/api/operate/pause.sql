-- Keeps every dispatcher from starting anything until rowcall.resume(). Running attempts go on and are settled. Returns
-- whether this changed anything.
create or replace function rowcall.pause(reason text default null) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    was_running boolean;
begin
    update rowcall_internal.control c
    set paused_at = clock_timestamp(), paused_by = session_user, pause_reason = pause.reason where c.paused_at is null;
    was_running := found;
    if was_running then
        perform rowcall_internal.notify('rowcall__stop');
    end if;
    return was_running;
end
$$;
