-- Sends a NOTIFY, unless the server's queue of them is more than half full because some session listens and reads nothing:
-- at its end every transaction that notifies would fail as it commits, and with it whatever a user has written. Whoever
-- would have been told looks without being told.
create or replace function rowcall_internal.notify(channel text, payload text default '') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if not rowcall_internal.notify_queue_is_full() then
        perform pg_notify(channel, payload);
    end if;
end
$$;
