-- Locks jobs of tasks that have a cap, after claim_lock.sql: no other dispatcher can start one of them meanwhile, so
-- the counts are exact. At most $4 jobs of each task and $5 in all, in the order given. $6: as $9 there.
with wanted as (
    select w.*,
        case when w.max_running is null then w.quota else
            greatest(least(w.quota, w.max_running
                - (select count(*) from rowcall_internal.jobs r where r.state = 'running' and r.task = w.task)), 0)
        end as room
    from unnest($1::text[], $2::int[], $3::int[], $4::bigint[], $6::text[]) with ordinality
        as w(task, max_running, max_running_per_key, quota, refused, place)
    where not exists (select from rowcall_internal.control where paused_at is not null)
), plain as (
    select j.job, w.place from wanted w
    cross join lateral (
        select j as job from rowcall_internal.jobs j
        where state = 'pending' and concurrency_key is null and task = w.task and w.max_running_per_key is null
          and (refused_by is null or w.refused <> all (refused_by))
        order by due_at, id limit w.room
        for update skip locked
    ) j
), by_key as (
    select j as job, c.place
    from (
        select c.id, w.place from wanted w
        cross join lateral (
            select id from rowcall_internal.claimable_by_key(w.task, w.max_running_per_key, w.room, w.refused)
        ) c
        where w.max_running_per_key is not null and w.room > 0
    ) c
    join rowcall_internal.jobs j on j.id = c.id and j.state = 'pending'
    for update of j skip locked
), picked as (
    select job from (select * from plain union all select * from by_key) p order by place limit $5
)
