-- What is known of attempts about to be settled. Locked, without waiting: a job held by a user's long
-- transaction is left out, and comes back later.
select a.id, a.job_id, a.task, a.number, a.report, a.message, a.detail, a.result, a.retry,
    extract(epoch from a.snooze)::float8 as snooze, a.row_written, a.stop_requested, a.stop_outcome,
    a.request, a.row_key, a.source_table::oid as source_table,
    j.again, j.moved_to, j.failures, j.runner_failures, j.left_in, j.withheld,
    exists (select from rowcall.jobs o
            where o.source_table = j.source_table and o.short_key = j.short_key and o.on_status = j.on_status and o.id <> j.id)
        as has_siblings
from rowcall.attempts a
join rowcall.jobs j on j.id = a.job_id and j.attempt_id = a.id
where a.id = any ($1) and a.ended is null
for update skip locked
