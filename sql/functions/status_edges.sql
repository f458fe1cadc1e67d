-- The statuses into which a task may bring a row, each with what brings it there.
create or replace function rowcall.status_edges(task rowcall.parameters) returns table (leads_to text, how text)
language sql immutable parallel safe
as $$
    select e.leads_to, e.how
    from (values (task.status_running, 'starts'), (task.status_succeeded, 'succeeds'), (task.status_failed, 'fails')) e(leads_to, how)
    where e.leads_to is not null and (e.how <> 'starts' or task.status_running_by = 'rowcall')
$$;
