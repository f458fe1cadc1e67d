-- The NOTIFY channel of a status: rowcall_registered for REGISTERED. Two statuses that fold to one name
-- share a channel, which costs a wake-up and loses nothing.
create or replace function rowcall_internal.channel(status text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return 'rowcall_' || left(trim(both '_' from regexp_replace(lower(status), '[^a-z0-9]+', '_', 'g')), 50);
end
$$;
