-- Ends open attempts that are no job's any more: nothing would ever be settled by them. Their dispatcher sees that they are
-- over, and stops what runs.
with free as (
    select a.id from rowcall_internal.attempts a
    -- With a limit it is one look at an index for each attempt, as in attempts_overdue.sql.
    where (select true from rowcall_internal.jobs j where j.id = a.job_id and j.attempt_id = a.id limit 1) is null
    limit 1000
    for update skip locked
)
select rowcall_internal.lose_attempts(array(select id from free), 'its job is gone')
