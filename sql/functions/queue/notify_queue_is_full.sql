-- Whether the server's queue of notifications is so full that it is left to others.
create or replace function rowcall_internal.notify_queue_is_full() returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return pg_notification_queue_usage() > 0.5;
end
$$;
