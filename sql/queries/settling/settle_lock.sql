-- Locks attempts of this dispatcher that are to be settled, and returns what is known of them. It does not wait: a job that a user's long
-- transaction holds is left out, and comes back later. So is an attempt that another dispatcher has taken over: that one may be about to
-- call the runner, which would begin anew under the same key if this one let it forget the first. Where a call is written down before it is
-- made, no other dispatcher repeats it, and only the one that made it may have seen the end.
select a.id, a.job_id, a.task, a.number, a.report, a.message, a.detail, a.result, a.retry,
    extract(epoch from a.snooze)::float8 as snooze, a.row_written,
    -- A cancel outweighs any other stop, after which the job might be tried again.
    coalesce(j.cancel_requested, a.stop_requested) as stop_requested,
    case when j.cancel_requested is not null then 'cancelled' else a.stop_cause end as stop_cause,
    a.terms_id::text as terms_id, a.row_key, a.external_id, a.source_table::oid as source_table,
    extract(epoch from clock_timestamp())::float8 - extract(epoch from a.created_at)::float8 as seconds, a.source_table::regclass::text as table_name,
    j.run_again, j.moved_to,
    -- By a login of tasks. One that may do everything is a member of every role, and says nothing.
    j.moved_by is not null and exists (
        select from pg_roles mover join pg_roles task on task.rolname = 'rowcall_task'
        where mover.rolname = j.moved_by and not mover.rolsuper and pg_has_role(mover.oid, task.oid, 'member')) as moved_by_task,
    j.failures, j.runner_failures
from rowcall_internal.attempts a
-- With a limit it is one look at an index for each attempt, also by a plan that was made while there were no jobs.
cross join lateral (
    select * from rowcall_internal.jobs where id = a.job_id and attempt_id = a.id limit 1 for update skip locked) j
where a.id = any ($1) and (a.dispatcher_id = $2 or a.asked_at is not null)
for update of a skip locked
