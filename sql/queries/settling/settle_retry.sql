-- Lets jobs wait for their next attempt, and keeps what the one before, which is still open, has made of the row. What is known of a user's move of the row stays: at the next claim it says whether
-- the status of the row is this job's, or that of another task which has the row by then.
update rowcall_internal.jobs j
set state = 'waiting', due_at = now() + make_interval(secs => r.delay), attempt_id = null, cancel_requested = null, cancelled_by = null,
    failures = r.failures, runner_failures = r.runner_failures, reason = r.reason, left_as = t.terms->'write_back'
from rows from (
        unnest($1::bigint[], $2::bigint[], $3::float8[], $4::int[], $5::int[], $6::text[]), generate_series(1, cardinality($1)))
    as r(job_id, attempt_id, delay, failures, runner_failures, reason, place)
join rowcall_internal.attempts a on a.id = r.attempt_id
left join rowcall_internal.terms t on t.id = a.terms_id
where j.id = any ($1) and a.id = any ($2) and j.id = r.job_id and j.attempt_id = r.attempt_id
