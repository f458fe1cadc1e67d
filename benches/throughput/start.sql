-- What a dispatcher writes for 500 jobs that start: the rows, the jobs, their attempts.
with picked as (
    select id, row_key, nextval(pg_get_serial_sequence('y_attempts', 'id')) as attempt from y_jobs
    where state = 'pending' and concurrency_key is null and task = 'noop'
    order by due_at, id limit 500 for update skip locked
), started as (
    update y_jobs j set state = 'running', attempt_id = p.attempt, attempt_count = 1 from picked p where j.id = p.id
), marked as (
    update y_files f set status = 'PROCESSING', last_update = now() from picked p where f.id = (p.row_key->>'id')::bigint
)
insert into y_attempts (id, job_id, task, source_table, row_key, number, runner, launch_key, token_hash, terms_id, timeout,
    launch_timeout, dispatcher_id)
overriding system value
select attempt, id, 'noop', 'rowcall.files', row_key, 1, 'docker', 'rowcall-01234567-' || attempt || '-01234567',
    sha256(attempt::text::bytea),
    'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    '1 hour', '10 minutes', 1
from picked returning id
