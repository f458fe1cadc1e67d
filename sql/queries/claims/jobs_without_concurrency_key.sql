-- Locks jobs whose concurrency key is not rendered yet.
select id, task, source_table::oid as source_table, row_key, on_status, attempt_count
from rowcall_internal.jobs
where state = 'pending' and concurrency_key is null and task = any ($1)
order by due_at, id limit $2
for update skip locked
