-- What keeps the jobs of a task from starting, whatever their row; with a concurrency key, also what keeps the jobs
-- with that key. "waits": it ends by itself.
create or replace function rowcall_internal.start_blockers(task text, concurrency_key text default null)
returns table (waits boolean, reason text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    p rowcall.parameters;
    running bigint;
begin
    return query
    select false, format('paused since %s by %s', date_trunc('second', c.paused_at), c.paused_by) || coalesce(': ' || c.pause_reason, '')
    from rowcall_internal.control c where c.paused_at is not null;

    select * into p from rowcall.parameters where name = start_blockers.task;
    if not found then
        return query select false, format('no parameters row named %s', start_blockers.task);
        return;
    end if;
    if not p.enabled then
        return query select false, format('%s is disabled', p.name);
    end if;
    return query select false, 'it would run for ever: ' || w from rowcall.status_loop(p.name) w where w is not null;
    if not exists (select from rowcall_internal.running_dispatchers d where p.runner = any (d.runners)) then
        return query select false, format('no running dispatcher offers the runner %s', p.runner);
    end if;
    if p.max_running is not null then
        select count(*) into running from rowcall_internal.jobs j where j.state = 'running' and j.task = p.name;
        if running >= p.max_running then
            return query select true, format('waiting for max_running of %s: %s of %s running', p.name, running, p.max_running);
        end if;
    end if;
    if start_blockers.concurrency_key is not null then
        select count(*) into running from rowcall_internal.jobs j
        where j.state = 'running' and j.task = p.name and j.concurrency_key = start_blockers.concurrency_key;
        if running >= p.max_running_per_key then
            return query select true, format('waiting for max_running_per_key of %s: %s of %s running for %s',
                p.name, running, p.max_running_per_key, start_blockers.concurrency_key);
        end if;
    end if;
end
$$;
