-- The end of claim.sql: one line for each task with its quota, whether it is only counted, and whether some of its jobs
-- have no concurrency key yet.
union all
select null, w.task, null, null, null, null, null, null, null, null, null, null, null, false, null, null, null, null, p.quota, w.counted, u.task is not null
from wanted w left join planned p using (task) left join unkeyed u using (task)
where p.quota > 0 or u.task is not null
