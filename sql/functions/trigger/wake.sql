-- Wakes the dispatchers, which sleep (is_asleep.sql), for jobs of rows with these statuses.
create or replace function rowcall_internal.wake(statuses text[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select rowcall_internal.notify(channel)
    from (select distinct rowcall_internal.channel(status) as channel from unnest(statuses) as status) as channels
$$;
