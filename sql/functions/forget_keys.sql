-- Takes the concurrency keys off jobs that wait: of these tasks, or of those that have none any more. A job that somebody
-- holds keeps its key until the next time; the janitor calls this, too.
create or replace function rowcall.forget_keys(tasks text[] default null) returns bigint
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    with held as (
        select j.id from rowcall.jobs j
        where j.state <> 'running' and j.concurrency_key is not null
          and (j.task = any (tasks) or tasks is null and exists (
              select from rowcall.parameters p where p.name = j.task and p.concurrency_key is null))
        for update skip locked
    ), forgotten as (
        update rowcall.jobs j set concurrency_key = null from held where j.id = held.id returning 1
    )
    select count(*) from forgotten
$$;
