-- Sends a NOTIFY on a channel of the user's choice: a task gave a row a status. Postgres delivers it at commit.
create or replace function rowcall_internal.announce(channel text, task text, source regclass, row_key jsonb, status text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    payload jsonb := jsonb_build_object('task', task, 'table', source::text, 'key', row_key, 'status', status);
begin
    -- Postgres takes less than 8000 bytes, and a key may be any text: better no key than no word.
    if octet_length(payload::text) >= 8000 then
        payload := payload - 'key';
    end if;
    perform rowcall_internal.notify(channel, payload::text);
end
$$;
