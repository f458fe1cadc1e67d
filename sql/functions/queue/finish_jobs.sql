-- Moves jobs that are over into the history. By the array of their ids no plan reads more than these, also one that was made while the
-- table was empty: that would join it whole. A job whose row asked again meanwhile keeps its place in the table, as a
-- new job. A function, so that it is planned once for each connection: after code of users has run, no statement of the daemon has a
-- name by which a plan could be kept.
create or replace function rowcall_internal.finish_jobs(
    jobs bigint[], attempts bigint[], outcomes text[], messages text[], write_backs text[], causes text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    with over as (
        select * from rows from (unnest(jobs, attempts, outcomes, messages, write_backs, causes), generate_series(1, cardinality(jobs)))
            as o(job_id, attempt_id, outcome, message, write_back, cause, place)
    ), finished as (
        insert into rowcall_internal.history (job_id, task, source_table, row_key, on_status, outcome, cause, attempt_count, message,
            write_back, cancelled_by, created_at)
        select j.id, j.task, j.source_table, j.row_key, j.on_status, o.outcome, o.cause, j.attempt_count, o.message, o.write_back, case when o.outcome = 'CANCELLED' then j.cancelled_by end,
            j.created_at
        from over o join rowcall_internal.jobs j on j.id = any (finish_jobs.jobs) and j.id = o.job_id and j.attempt_id = o.attempt_id
    ), renewed as (
        update rowcall_internal.jobs j
        set id = default, state = 'pending', run_again = false, cancel_requested = null, cancelled_by = null, moved_to = null, moved_at = null, moved_by = null, due_at = now(),
            attempt_id = null, attempt_count = 0, failures = 0, runner_failures = 0, reason = null, concurrency_key = null, left_as = null,
            created_at = now()
        from over o where j.id = any (finish_jobs.jobs) and j.id = o.job_id and j.attempt_id = o.attempt_id and j.run_again
    )
    delete from rowcall_internal.jobs j using over o where j.id = any (finish_jobs.jobs) and j.id = o.job_id and j.attempt_id = o.attempt_id and not j.run_again;
end
$$;
