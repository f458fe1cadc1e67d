-- Looks at the queue, and locks jobs of tasks without a cap. The best $6 jobs of all, by priority and age ($7 seconds
-- of waiting count as one point), say how many jobs of each task are taken ($8: up to $6 of each task, for when other
-- dispatchers hold the best). Tasks of one priority take turns, so that a backlog of one holds up no other: the places that
-- their jobs have by age go round among them, first to the task that was served longest ago ($10). Jobs of tasks with a cap are only counted here; claim_counted.sql locks them. Nothing is
-- changed yet: start_jobs() and the jobs_ statements do that. $9: the word by which a job says that this dispatcher
-- has refused it. Where one task alone has jobs, and no cap, there is nothing to choose. $11 and $12: of each task, behind which job the look begins (since when due, id).
with wanted as (
    select w.*,
        case when w.max_running is null then $6 else
            greatest(least($6, w.max_running
                - (select count(*) from rowcall_internal.jobs r where r.state = 'running' and r.task = w.task)), 0)
        end as room
    from unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::bool[], $9::text[], $10::bigint[], $11::float8[], $12::bigint[])
        as w(task, priority, max_running, max_running_per_key, counted, refused, served, due, id)
    where not exists (select from rowcall_internal.control where paused_at is not null)
), with_jobs as materialized (
    -- A second one is enough to choose between.
    select w.task, w.counted from wanted w
    where exists (select from rowcall_internal.jobs where state = 'pending' and concurrency_key is null and task = w.task
                  and (due_at, id) > (to_timestamp(w.due), w.id) and (refused_by is null or w.refused <> all (refused_by)))
       or w.max_running_per_key is not null
          and exists (select from rowcall_internal.jobs where state = 'pending' and concurrency_key is not null and task = w.task)
    limit 2
), alone as materialized (
    select min(task) as task from with_jobs having count(*) = 1 and not bool_or(counted)
), candidates as (
    select w.task, w.priority, w.served, w.priority - date_part('epoch', c.due_at) / $7::float8 as score, c.due_at, c.id
    from wanted w
    cross join lateral (
        select id, due_at from rowcall_internal.jobs
        where state = 'pending' and concurrency_key is null and task = w.task and w.max_running_per_key is null
          and (due_at, id) > (to_timestamp(w.due), w.id) and (refused_by is null or w.refused <> all (refused_by))
        order by due_at, id limit w.room
    ) c
    where not exists (select from alone)
    union all
    select w.task, w.priority, w.served, w.priority - date_part('epoch', c.due_at) / $7::float8, c.due_at, c.id
    from wanted w
    cross join lateral (
        select id, due_at from rowcall_internal.claimable_by_key(w.task, w.max_running_per_key, w.room, w.refused)
    ) c
    where w.max_running_per_key is not null and w.room > 0 and not exists (select from alone)
), places as (
    select priority, array_agg(score order by score desc) as scores from candidates group by priority
), turns as (
    select task, priority, row_number() over (partition by priority order by round, served, score desc, due_at, id) as place
    from (select c.*, row_number() over (partition by task order by score desc, due_at, id) as round from candidates c) r
), planned as (
    select task, case when $8 then $6 else count(*) end as quota, max(score) as score
    from (
        select turns.task, places.scores[turns.place] as score from turns join places using (priority)
        order by score desc, place limit case when $8 then null else $6 end) best
    group by task
    union all
    select task, $6, 0 from alone
), picked as (
    select j.job
    from (select p.*, w.refused, w.due, w.id from planned p join wanted w using (task) where not w.counted order by p.score desc) p
    cross join lateral (
        select j as job from rowcall_internal.jobs j
        where state = 'pending' and concurrency_key is null and task = p.task
          and (due_at, id) > (to_timestamp(p.due), p.id) and (refused_by is null or p.refused <> all (refused_by))
        order by due_at, id limit p.quota
        for update skip locked
    ) j
    limit $6
), unkeyed as (
    select w.task from wanted w
    where w.max_running_per_key is not null and exists (
        select from rowcall_internal.jobs u where u.state = 'pending' and u.concurrency_key is null and u.task = w.task)
)
