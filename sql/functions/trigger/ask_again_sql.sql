-- SQL text: what an INSERT into rowcall.jobs (as j) does where the row has a job for this task already. A running
-- one is followed by one more run; any other begins anew, as the fresh wish that it is. The update also locks
-- the job until the writer has committed, so that it cannot run with the row as it was before.
create or replace function rowcall_internal.ask_again_sql() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select $sql$
        on conflict on constraint one_job_per_task_and_row do update
        set run_again = j.state = 'running',
            on_status = excluded.on_status,
            state = case when j.state = 'running' then 'running' else 'pending' end,
            due_at = case when j.state = 'running' then j.due_at else now() end,
            failures = case when j.state = 'running' then j.failures else 0 end,
            runner_failures = case when j.state = 'running' then j.runner_failures else 0 end,
            -- The row as it is now says which key; what runs keeps the one under which it is counted.
            concurrency_key = case when j.state = 'running' then j.concurrency_key end,
            moved_to = case when j.state = 'running' then j.moved_to end,
            moved_at = case when j.state = 'running' then j.moved_at end,
            held_since = null, refused_by = null, reason = null
    $sql$
$$;
