-- Takes up to $3 pending jobs, task by task in the order given, at most so many of each as there is room for.
with wanted as (
    select * from unnest($1::text[], $2::bigint[]) as w(task, room)
), picked as (
    select j.id
    from wanted w
    cross join lateral (
        select id from rowcall.jobs
        where state = 'pending' and task = w.task
        order by due, id limit w.room
        for update skip locked
    ) j
    limit $3
)
update rowcall.jobs j
set state = 'running', attempts = j.attempts + 1, again = false, moved_to = null, moved_at = null, reason = null,
    attempt_id = nextval(pg_get_serial_sequence('rowcall.attempts', 'id'))
from picked where j.id = picked.id
returning j.id, j.task, j.source_table::oid as source_table, j.row_key, j.on_status, j.attempts, j.attempt_id,
    case when j.attempts > 1 then (
        select a.request->'write_back'->'expected' from rowcall.attempts a
        where a.job_id = j.id order by a.number desc limit 1) end as left_in
