-- Gives attempts back to the queue that no runner has heard of, and returns them: they were claimed ahead, or their task is out of reach. Their jobs keep their places,
-- and their rows the status in which the attempt left them. A row that has asked again meanwhile has asked for this job: it begins anew,
-- as ask_again_sql.sql lets a pending one. An attempt that must end is its stopper's; one that another session holds is
-- given back later.
with free as (
    select a.id, a.job_id, a.number, (select t.terms->'write_back' from rowcall_internal.terms t where t.id = a.terms_id) as left_as
    from rowcall_internal.attempts a
    cross join lateral (
        select * from rowcall_internal.jobs where id = a.job_id and attempt_id = a.id limit 1 for update skip locked) j
    where a.id = any ($2) and a.dispatcher_id = $1 and a.asked_at is null and a.launched_at is null and a.started_at is null
      and a.report is null and coalesce(a.stop_requested, j.cancel_requested) is null
    for update of a skip locked
), unspent as (
    delete from rowcall_internal.attempts a using free where a.id = any ($2) and a.id = free.id
)
update rowcall_internal.jobs j
set state = 'pending', attempt_id = null, attempt_count = free.number - 1, run_again = false,
    left_as = free.left_as,
    moved_to = case when not j.run_again then j.moved_to end, moved_at = case when not j.run_again then j.moved_at end,
    moved_by = case when not j.run_again then j.moved_by end,
    due_at = case when j.run_again then now() else j.due_at end,
    failures = case when j.run_again then 0 else j.failures end, runner_failures = case when j.run_again then 0 else j.runner_failures end
from free where j.id = any (array(select job_id from free)) and j.id = free.job_id
returning free.id
