-- Ends open attempts that are no job's any more: nothing would ever be settled by them. Their dispatcher sees that they are
-- over, and stops what runs.
with free as (
    select a.id from rowcall_internal.attempts a
    where a.ended_at is null
      and not exists (select from rowcall_internal.jobs j where j.id = a.job_id and j.attempt_id = a.id)
    limit 1000
    for update skip locked
)
update rowcall_internal.attempts a
set ended_at = clock_timestamp(), outcome = 'LOST', cause = 'lost', reason = 'its job is gone'
from free where a.id = free.id
