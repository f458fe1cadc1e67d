-- The jobs of a task with a concurrency key that its keys leave room for, now: of each key its first ones. It steps
-- from key to key on the index jobs_pending_by_key, so that ten thousand jobs of one busy customer cost one step.
create or replace function rowcall.claimable_by_key(task text, max_running_per_key int)
returns table (id bigint, due timestamptz, concurrency_key text)
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
    with recursive keys as (
        (select j.concurrency_key as key from rowcall.jobs j
         where j.state = 'pending' and j.task = claimable_by_key.task and j.concurrency_key is not null
         order by j.concurrency_key limit 1)
        union all
        select (select j.concurrency_key from rowcall.jobs j
                where j.state = 'pending' and j.task = claimable_by_key.task and j.concurrency_key > keys.key
                order by j.concurrency_key limit 1)
        from keys where keys.key is not null
    )
    select j.id, j.due, keys.key
    from keys
    cross join lateral (
        select p.id, p.due from rowcall.jobs p
        where p.state = 'pending' and p.task = claimable_by_key.task and p.concurrency_key = keys.key
        order by p.due, p.id
        limit greatest(max_running_per_key - (
            select count(*) from rowcall.jobs r
            where r.state = 'running' and r.task = claimable_by_key.task and r.concurrency_key = keys.key), 0)
    ) j
    where keys.key is not null
$$;
