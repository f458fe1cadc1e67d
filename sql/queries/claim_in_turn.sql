-- Takes jobs of tasks that have a cap, or share their status, after claim_lock.sql: nobody else can take one of them
-- meanwhile, so that the counts are exact. At most $5 of each, in the order given.
with wanted as (
    select w.*,
        case when w.max_running is null then w.quota else
            greatest(least(w.quota, w.max_running
                - (select count(*) from rowcall.jobs r where r.state = 'running' and r.task = w.task)), 0)
        end as room
    from unnest($1::text[], $2::int[], $3::int[], $4::bigint[]) with ordinality
        as w(task, max_running, max_running_per_key, quota, place)
    where not exists (select from rowcall.control where paused is not null)
), plain as (
    select j.id, w.place from wanted w
    cross join lateral (
        select id from rowcall.jobs
        where state = 'pending' and concurrency_key is null and task = w.task and w.max_running_per_key is null
        order by due, id limit w.room
        for update skip locked
    ) j
), by_key as (
    select j.id, c.place
    from (
        select c.id, w.place from wanted w
        cross join lateral (
            select id from rowcall.claimable_by_key(w.task, w.max_running_per_key, w.room)
        ) c
        where w.max_running_per_key is not null and w.room > 0
    ) c
    join rowcall.jobs j on j.id = c.id and j.state = 'pending'
    for update of j skip locked
), picked as (
    select id from (select * from plain union all select * from by_key) p order by place limit $5
)
update rowcall.jobs j
set state = 'running', attempts = j.attempts + 1, again = false, moved_to = null, moved_at = null, reason = null,
    attempt_id = nextval(pg_get_serial_sequence('rowcall.attempts', 'id'))
from picked where j.id = picked.id
returning j.id, j.task, j.source_table::oid as source_table, j.row_key, j.on_status, j.attempts, j.attempt_id,
    case when j.attempts > 1 then (
        select a.request->'write_back'->'expected' from rowcall.attempts a
        where a.job_id = j.id order by a.number desc limit 1) end as expected_before,
    j.left_in, j.concurrency_key,
    -- The statuses in which jobs of the same row and status that run have it; null if there are no such jobs at all.
    (select coalesce(jsonb_agg(a.request->'write_back'->'expected') filter (where a.id is not null), '[]')
     from rowcall.jobs o left join rowcall.attempts a on a.id = o.attempt_id and a.ended is null
     where o.source_table = j.source_table and o.short_key = j.short_key and o.on_status = j.on_status
       and o.id <> j.id having count(*) > 0) as beside
