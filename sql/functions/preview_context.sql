-- What the templates of a task see (src/parameters/render.rs). Without a job there is no job.id yet.
create or replace function rowcall.preview_context(task rowcall.parameters, job_id bigint, attempt int, row_key jsonb, row_data jsonb)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('row', row_data, 'values', task."values", 'job',
        jsonb_build_object('task', task.name, 'on_status', task.on_status, 'attempt', attempt, 'row_key', row_key)
        || case when job_id is null then '{}' else jsonb_build_object('id', job_id) end)
$$;
