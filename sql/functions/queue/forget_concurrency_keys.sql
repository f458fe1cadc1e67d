-- Takes the concurrency keys off jobs that wait: of these tasks; or, for the janitor, off claimable jobs of tasks that have
-- no key any more, which somebody held at the time of that edit, or which were not due.
create or replace function rowcall_internal.forget_concurrency_keys(tasks text[] default null) returns bigint
language sql security definer
set search_path = pg_catalog, pg_temp
-- The janitor's half has an index; the table may be long. What has none is then thought to be immensely costly, and worth
-- compiling, which would take longer than all else.
set enable_seqscan = off set jit = off
as $$
    with of_tasks as (
        select j.id from rowcall_internal.jobs j
        where tasks is not null and j.task = any (tasks) and j.state <> 'running' and j.concurrency_key is not null
        for update skip locked
    ), left_over as (
        select j.id from rowcall_internal.jobs j
        where tasks is null and j.state = 'pending' and j.concurrency_key is not null
          and j.task = any (array(select p.name from rowcall.parameters p where p.concurrency_key is null))
        for update skip locked
    ), forgotten as (
        update rowcall_internal.jobs j set concurrency_key = null
        where j.id in (select id from of_tasks union all select id from left_over)
        returning 1
    )
    select count(*) from forgotten
$$;
