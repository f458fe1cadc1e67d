-- Removes the concurrency keys of jobs that do not run: of these tasks; or, for the janitor, of pending jobs whose task
-- has no concurrency_key any more, and which that edit missed because another session held them, or because they ran.
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
    ), missed as (
        select j.id from rowcall_internal.jobs j
        where tasks is null and j.state = 'pending' and j.concurrency_key is not null
          and j.task = any (array(select p.name from rowcall.parameters p where p.concurrency_key is null))
        for update skip locked
    ), forgotten as (
        update rowcall_internal.jobs j set concurrency_key = null
        where j.id = any (array(select id from of_tasks union all select id from missed))
        returning 1
    )
    select count(*) from forgotten
$$;
