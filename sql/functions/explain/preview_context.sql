-- The context that the templates of a task see, as src/parameters/render.rs makes it: row, values and job. job.id is 0
-- while there is no job yet.
create or replace function rowcall_internal.preview_context(task rowcall.parameters, job_id bigint, attempt int, row_key jsonb, row_data jsonb)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('row', row_data, 'values', task."values", 'job',
        jsonb_build_object('id', coalesce(job_id, 0), 'task', task.name, 'on_status', task.on_status, 'attempt', attempt,
            'row_key', row_key))
$$;
