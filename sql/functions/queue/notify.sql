-- Sends a NOTIFY, unless the server's queue of them is more than half full because some session listens and reads nothing.
-- In a full queue every transaction that notifies fails as it commits, and what a user has written fails with it.
-- Dispatchers find by polling what they were not told.
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
