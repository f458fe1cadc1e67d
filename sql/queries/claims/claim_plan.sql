-- The end of claim.sql: what was only counted, so many of each task, and tasks with jobs that have no concurrency key yet.
union all
select null, w.task, null, null, null, null, null, null, null, null, p.quota, w.counted, u.task is not null
from wanted w left join planned p using (task) left join unkeyed u using (task)
where p.quota > 0 or u.task is not null
