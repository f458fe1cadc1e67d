-- What follows from each outcome. The write-back, retry_failed, explain and the check of retry_on all read this list.
-- is_failure: the row gets a message. spends_attempt: it counts against max_attempts. retryable: retry_on may name it.
-- The words are those of the domain rowcall.outcome; a test compares both with the enum Outcome of src/job/words.rs.
create or replace function rowcall_internal.outcomes()
returns table (outcome text, is_failure boolean, spends_attempt boolean, retryable boolean)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    values
    ('SUCCEEDED', false, false, false),
    ('TASK_FAILED', true, true, true),
    ('TIMED_OUT', true, true, true),
    ('RUNNER_FAILED', true, false, true),
    ('LOST', true, false, true),
    ('CANCELLED', true, false, false),
    ('SNOOZED', false, false, false),
    ('OBSOLETE', false, false, false)
$$;
