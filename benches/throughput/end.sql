-- What it writes when they are over ($1: the attempts): the rows once more, the ends of the attempts, the history.
with over as (
    delete from y_attempts where id = any ($1) returning *
), ended as (
    insert into y_ended (id, job_id, task, source_table, row_key, number, runner, launch_key, terms_id, timeout, launch_timeout,
        dispatcher_id, created_at, row_written, launched_at, begun_at, external_id, ended_at, outcome, cause, exit_code)
    select id, job_id, task, source_table, row_key, number, runner, launch_key, terms_id, timeout, launch_timeout,
        dispatcher_id, created_at, row_written, now(), now(), 'null', now(), 'SUCCEEDED', 'exit_code', 0 from over
), written as (
    update y_files f set status = 'PROCESSED', last_update = now(), attributes = coalesce(f.attributes, '{}')
    from over where f.id = (over.row_key->>'id')::bigint and f.status = 'PROCESSING'
), finished as (
    delete from y_jobs j using over where j.id = over.job_id returning j.*
)
insert into y_history (job_id, task, source_table, row_key, on_status, outcome, cause, attempt_count, created_at)
select id, task, source_table, row_key, on_status, 'SUCCEEDED', 'exit_code', attempt_count, created_at from finished
