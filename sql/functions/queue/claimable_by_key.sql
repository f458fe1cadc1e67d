-- Up to "wanted" pending jobs of a task whose concurrency keys have room now. It looks at the oldest jobs first. If too
-- many of these belong to keys without room, it steps from key to key on the index jobs_pending_by_key: ten thousand
-- jobs of one busy customer cost one step. It leaves out those with the word "refused" in refused_by.
create or replace function rowcall_internal.claimable_by_key(task text, max_running_per_key int, wanted bigint, refused text)
returns table (id bigint, due_at timestamptz, concurrency_key text)
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off
as $$
    with recursive running as (
        select r.concurrency_key as key, count(*) as jobs from rowcall_internal.jobs r
        where r.state = 'running' and r.task = claimable_by_key.task and r.concurrency_key is not null
        group by 1
    ), oldest as (
        select j.id, j.due_at, j.concurrency_key as key from rowcall_internal.jobs j
        where j.state = 'pending' and j.task = claimable_by_key.task and j.concurrency_key is not null
          and (j.refused_by is null or refused <> all (j.refused_by))
        order by j.due_at, j.id limit 4 * wanted + 100
    ), first_of_them as (
        select o.id, o.due_at, o.key
        from (select *, row_number() over (partition by key order by due_at, id) as place from oldest) o
        left join running r using (key)
        where o.place <= max_running_per_key - coalesce(r.jobs, 0)
        order by o.due_at, o.id limit wanted
    ), keys as (
        (select j.concurrency_key as key from rowcall_internal.jobs j
         where j.state = 'pending' and j.task = claimable_by_key.task and j.concurrency_key is not null
           and (select count(*) from first_of_them) < wanted and (select count(*) from oldest) = 4 * wanted + 100
         order by j.concurrency_key limit 1)
        union all
        select (select j.concurrency_key from rowcall_internal.jobs j
                where j.state = 'pending' and j.task = claimable_by_key.task and j.concurrency_key > keys.key
                order by j.concurrency_key limit 1)
        from keys where keys.key is not null
    ), further as (
        select j.id, j.due_at, keys.key
        from keys
        left join running r using (key)
        cross join lateral (
            select p.id, p.due_at from rowcall_internal.jobs p
            where p.state = 'pending' and p.task = claimable_by_key.task and p.concurrency_key = keys.key
              and (p.refused_by is null or refused <> all (p.refused_by))
            order by p.due_at, p.id
            limit greatest(max_running_per_key - coalesce(r.jobs, 0), 0)
        ) j
        where keys.key is not null and not exists (select from first_of_them f where f.id = j.id)
        -- Without an order of its own, so that the steps end here.
        limit wanted
    )
    (select * from first_of_them union all select * from further) limit wanted
$$;
