-- Ends rowcall.pause(). Returns whether this changed anything.
create or replace function rowcall.resume() returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    was_paused boolean;
begin
    update rowcall_internal.control c set paused_at = null, paused_by = null, pause_reason = null where c.paused_at is not null;
    was_paused := found;
    if was_paused then
        perform rowcall_internal.notify('rowcall_control');
    end if;
    return was_paused;
end
$$;
