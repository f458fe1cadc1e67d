-- What the templates of a task see (src/parameters/render.rs). A job has its number only once it is there; until then
-- job.id is 0.
create or replace function rowcall_internal.preview_context(task rowcall.parameters, job_id bigint, attempt int, row_key jsonb, row_data jsonb)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('row', row_data, 'values', task."values", 'job',
        jsonb_build_object('id', coalesce(job_id, 0), 'task', task.name, 'on_status', task.on_status, 'attempt', attempt,
            'row_key', row_key))
$$;
