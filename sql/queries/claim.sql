-- One look at the queue, and what of it can be taken without waiting for anybody's turn. Of each task come its first
-- jobs; the best $6 of all, by priority and age ($7 seconds of waiting count as one), say how many of each task are taken
-- ($8: as many as there are, for when those best are in somebody's hands). Tasks with a cap, or that share their status,
-- are only counted here: claim_in_turn.sql takes their jobs.
with wanted as (
    select w.*,
        case when w.max_running is null then $6 else
            greatest(least($6, w.max_running
                - (select count(*) from rowcall.jobs r where r.state = 'running' and r.task = w.task)), 0)
        end as room
    from unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::bool[])
        as w(task, priority, max_running, max_running_per_key, in_turn)
    where not exists (select from rowcall.control where paused is not null)
), candidates as (
    select w.task, w.priority - date_part('epoch', c.due) / $7::float8 as score, c.due, c.id
    from wanted w
    cross join lateral (
        select id, due from rowcall.jobs
        where state = 'pending' and concurrency_key is null and task = w.task and w.max_running_per_key is null
        order by due, id limit w.room
    ) c
    union all
    select w.task, w.priority - date_part('epoch', c.due) / $7::float8, c.due, c.id
    from wanted w
    cross join lateral (
        select id, due from rowcall.claimable_by_key(w.task, w.max_running_per_key, w.room)
    ) c
    where w.max_running_per_key is not null and w.room > 0
), planned as (
    select task, case when $8 then $6 else count(*) end as quota, max(score) as score
    from (select * from candidates order by score desc, due, id limit case when $8 then null else $6 end) best
    group by task
), picked as (
    select j.id
    from (select p.* from planned p join wanted w using (task) where not w.in_turn order by p.score desc) p
    cross join lateral (
        select id from rowcall.jobs
        where state = 'pending' and concurrency_key is null and task = p.task
        order by due, id limit p.quota
        for update skip locked
    ) j
    limit $6
), taken as (
    update rowcall.jobs j
    set state = 'running', attempts = j.attempts + 1, again = false, moved_to = null, moved_at = null, reason = null,
        attempt_id = nextval(pg_get_serial_sequence('rowcall.attempts', 'id'))
    from picked where j.id = picked.id
    returning j.*
), unkeyed as (
    select w.task from wanted w
    where w.max_running_per_key is not null and exists (
        select from rowcall.jobs u where u.state = 'pending' and u.concurrency_key is null and u.task = w.task)
)
select t.id, t.task, t.source_table::oid as source_table, t.row_key, t.on_status, t.attempts, t.attempt_id,
    case when t.attempts > 1 then (
        select a.request->'write_back'->'expected' from rowcall.attempts a
        where a.job_id = t.id order by a.number desc limit 1) end as expected_before,
    t.left_in, t.concurrency_key,
    -- The statuses in which jobs of the same row and status that run have it; null if there are no such jobs at all.
    (select coalesce(jsonb_agg(a.request->'write_back'->'expected') filter (where a.id is not null), '[]')
     from rowcall.jobs o left join rowcall.attempts a on a.id = o.attempt_id and a.ended is null
     where o.source_table = t.source_table and o.short_key = t.short_key and o.on_status = t.on_status
       and o.id <> t.id having count(*) > 0) as beside, null::bigint as quota, false as in_turn, false as unkeyed
from taken t
union all
select null, w.task, null, null, null, null, null, null, null, null, null, p.quota, w.in_turn, u.task is not null
from wanted w left join planned p using (task) left join unkeyed u using (task)
where p.quota > 0 or u.task is not null
