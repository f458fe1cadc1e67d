-- Wakes the dispatchers, which sleep (is_asleep.sql), for jobs of rows with these statuses. PL/pgSQL keeps the plans; a function in SQL
-- would be planned at each call.
create or replace function rowcall_internal.wake(statuses text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    channel text;
begin
    if cardinality(statuses) = 1 then
        perform rowcall_internal.notify(rowcall_internal.channel(statuses[1]));
        return;
    end if;
    for channel in select distinct rowcall_internal.channel(status) from unnest(statuses) as status loop
        perform rowcall_internal.notify(channel);
    end loop;
end
$$;
