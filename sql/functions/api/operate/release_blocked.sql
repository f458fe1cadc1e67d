-- Makes blocked jobs pending, so that dispatchers try them again: those of the named tasks, or all. It passes over jobs
-- that another session holds. Returns how many it released.
create or replace function rowcall.release_blocked(tasks text[] default null) returns bigint
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    with held as (
        select id from rowcall_internal.jobs
        where state = 'blocked' and (tasks is null or task = any (tasks))
        for update skip locked
    ), released as (
        update rowcall_internal.jobs j set state = 'pending', refused_by = null, held_since = null, reason = null from held where j.id = held.id returning 1
    )
    select count(*) from released
$$;
