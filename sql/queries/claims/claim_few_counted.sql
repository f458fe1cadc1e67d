-- The end of claim_few.sql: a line for each counted task that has jobs.
union all
select null, w.task, null, null, null, null, null, null, null, null, null, null, null, false, null, null, null, null, null, true, false
from unnest($4::text[]) as w(task)
where exists (select from rowcall_internal.jobs j where j.state = 'pending' and j.concurrency_key is null and j.task = w.task)
   or exists (select from rowcall_internal.jobs j where j.state = 'pending' and j.concurrency_key is not null and j.task = w.task)
