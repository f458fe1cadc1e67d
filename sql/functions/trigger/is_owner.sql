-- Whether a task owns the status of the rows that it runs for: it has a word for at least one of the three. A task without
-- any is an observer.
create or replace function rowcall_internal.is_owner(task rowcall.parameters) returns boolean
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(task.status_running, task.status_succeeded, task.status_failed) is not null
$$;
