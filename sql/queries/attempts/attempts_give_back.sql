-- Gives attempts back to the queue that were claimed ahead and that no runner has heard of, and returns them: as if they had never been
-- claimed, but that their rows are left as the attempt left them. What shall end is its stopper's, what another session holds comes later.
with free as (
    select a.id, a.job_id, a.number, a.request->'write_back' as left_as
    from rowcall_internal.attempts a
    join rowcall_internal.jobs j on j.id = a.job_id and j.attempt_id = a.id
    where a.id = any ($2) and a.dispatcher_id = $1 and a.asked_at is null and a.launched_at is null and a.started_at is null
      and a.report is null and coalesce(a.stop_requested, j.cancel_requested) is null
    for update skip locked
), unspent as (
    delete from rowcall_internal.attempts a using free where a.id = free.id
)
update rowcall_internal.jobs j
set state = 'pending', attempt_id = null, attempt_count = free.number - 1, left_as = free.left_as
from free where j.id = free.job_id
returning free.id
