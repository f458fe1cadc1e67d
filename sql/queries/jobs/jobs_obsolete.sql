-- Ends locked jobs whose row is gone or has moved on: the status was the request, and it was withdrawn.
with gone as (
    delete from rowcall_internal.jobs j 
    using rows from (unnest($1::bigint[], $2::text[]), generate_series(1, cardinality($1))) as o(id, reason, place)
    where j.id = any ($1) and j.id = o.id and j.state = 'pending'
    returning j.*, o.reason as why
)
insert into rowcall_internal.history (job_id, task, source_table, row_key, on_status, outcome, attempt_count, message, created_at)
select id, task, source_table, row_key, on_status, 'OBSOLETE', attempt_count, why, created_at from gone
