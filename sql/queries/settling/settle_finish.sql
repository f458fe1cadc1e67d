-- Moves jobs that are over into the history. A job whose row asked again meanwhile keeps its place in the table, as a
-- new job.
with over as (
    select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
        as o(job_id, attempt_id, outcome, message, write_back, cause)
), finished as (
    insert into rowcall_internal.history (job_id, task, source_table, row_key, on_status, outcome, cause, attempt_count, message,
        write_back, cancelled_by, created_at)
    select j.id, j.task, j.source_table, j.row_key, j.on_status, o.outcome, o.cause, j.attempt_count, o.message, o.write_back, case when o.outcome = 'CANCELLED' then j.cancelled_by end,
        j.created_at
    from over o join rowcall_internal.jobs j on j.id = o.job_id and j.attempt_id = o.attempt_id
), renewed as (
    update rowcall_internal.jobs j
    set id = default, state = 'pending', run_again = false, cancel_requested = null, cancelled_by = null, moved_to = null, moved_at = null, moved_by = null, due_at = now(),
        attempt_id = null, attempt_count = 0, failures = 0, runner_failures = 0, reason = null, concurrency_key = null, left_as = null,
        created_at = now()
    from over o where j.id = o.job_id and j.attempt_id = o.attempt_id and j.run_again
)
delete from rowcall_internal.jobs j using over o where j.id = o.job_id and j.attempt_id = o.attempt_id and not j.run_again
