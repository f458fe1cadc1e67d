-- What an open job does or waits for, for rowcall.explain().
create or replace function rowcall_internal.explain_job(job rowcall_internal.jobs) returns setof text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    head text := format('%s, job %s: ', job.task, job.id);
    against text := (
        select string_agg(h.reason, '; ') from rowcall_internal.start_blockers(job.task, job.concurrency_key) h
        -- While it waits for its time, what ends by itself may have ended by then.
        where job.state = 'pending' or not h.waits);
    last_end record;
    before bigint;
    others bigint;
    p rowcall.parameters;
    a rowcall_internal.attempts;
    d rowcall_internal.dispatchers;
    since timestamptz;
begin
    select * into p from rowcall.parameters where name = job.task;
    if job.state = 'pending' then
        if against is null then
            select count(*) into before from (
                select from rowcall_internal.jobs o
                where o.state = 'pending' and o.task = job.task and (o.due_at, o.id) < (job.due_at, job.id) limit 1001) o;
            -- Those of a higher priority come first, and tasks of the same take turns. What age adds is left out.
            -- A task with a cap takes no more places at a time.
            select sum(least(t.max_running, case when t.priority > p.priority then o.pending else least(o.pending, before + 1) end)) into others
            from rowcall.parameters t cross join lateral (select count(*) as pending from (
                select from rowcall_internal.jobs j where j.state = 'pending' and j.task = t.name limit 1001) j) o
            where t.runner = p.runner and t.enabled and t.priority >= p.priority and t.name <> p.name;
            against := case when before = 0 and coalesce(others, 0) = 0 then 'a dispatcher starts it as soon as it has room'
                else format('before it %s %s', case when greatest(before, 0) + coalesce(others, 0) = 1 then 'is' else 'are' end, concat_ws(' and ',
                    case when before > 0 then format('%s of this task', rowcall_internal.counted_jobs(before)) end,
                    case when others > 0 then format('%s of other tasks on the runner %s', rowcall_internal.counted_jobs(others), p.runner) end))
                end;
        end if;
        return next format('%spending since %s: %s', head, date_trunc('second', job.due_at), against);
        if job.refused_by is not null then
            return next format('    refused by %s: %s', (select string_agg('dispatcher ' || split_part(r, '/', 1), ', ') from unnest(job.refused_by) r),
                job.reason);
        end if;
    elsif job.state = 'waiting' then
        select o.* into last_end from rowcall_internal.ended_attempts e join rowcall_internal.outcomes() o on o.outcome = e.outcome
        where e.job_id = job.id order by e.number desc limit 1;
        return next head || case
                when last_end.spends_attempt then format('retry %s of %s', job.failures + 1, p.max_attempts)
                when last_end.retryable then 'once more, which spends no attempt,'
                when last_end.outcome = 'SNOOZED' then 'the task wants to be called again'
                else 'tried again' end
            || case when job.due_at > now() then ' ' || rowcall_internal.explain_deadline(job.due_at) else ' now' end
            || coalesce(': ' || job.reason, '');
        if against is not null then
            return next '    besides: ' || against;
        end if;
    elsif job.state = 'blocked' then
        return next format('%sblocked since %s: %s', head, date_trunc('second', job.blocked_at), job.reason);
        return next '    an edit of its parameters or of the row releases it, and so does rowcall.retry(' || job.id || ')';
    else
        select * into a from rowcall_internal.attempts where id = job.attempt_id;
        since := coalesce(a.begun_at, a.started_at);
        return next format('%srunning: attempt %s on %s%s, since %s (%s)', head, a.number, a.runner,
            coalesce(', ' || a.external_id, ''), date_trunc('second', a.created_at), date_trunc('second', now() - a.created_at));
        if since is null then
            return next format('    %s; launch_timeout %s', case when a.launched_at is null
                    then format('claimed, waits for a slot of %s, or for its answer', a.runner)
                else format('launched %s, not seen to run yet', date_trunc('second', a.launched_at)) end,
                rowcall_internal.explain_deadline(a.created_at + a.launch_timeout));
        else
            return next format('    its program runs since %s; timeout %s', date_trunc('second', since),
                rowcall_internal.explain_deadline(since + a.timeout));
        end if;
        if a.heartbeat_at is not null then
            return next format('    last heard of %s ago', date_trunc('second', now() - a.heartbeat_at))
                || coalesce(format(', progress %s %%', round((a.progress * 100)::numeric)), '')
                || coalesce(': ' || a.progress_message, '')
                || coalesce('; heartbeat_timeout ' || rowcall_internal.explain_deadline(a.heartbeat_at + a.heartbeat_timeout), '');
        end if;
        if a.log_group is not null or a.log_stream is not null then
            return next format('    log: %s', concat_ws(' ', a.log_group, a.log_stream));
        end if;
        if a.report is not null then
            return next format('    it has reported: %s; it is settled when its program has ended', a.report);
        end if;
        if coalesce(job.cancel_requested, a.stop_requested) is not null then
            return next format('    being stopped: %s', coalesce(job.cancel_requested, a.stop_requested));
        end if;
        if job.run_again then
            return next '    the row has asked again: one more run follows this one';
        end if;
        if job.moved_to is not null then
            return next format('    the row was set to %s at %s, not by Rowcall', job.moved_to, date_trunc('second', job.moved_at));
        end if;
        select * into d from rowcall_internal.dispatchers where id = a.dispatcher_id;
        if d.id not in (select id from rowcall_internal.running_dispatchers) then
            return next format('    its dispatcher on %s %s: another takes it over', d.host,
                coalesce('stopped ' || date_trunc('second', d.stopped_at), 'is silent since ' || date_trunc('second', d.seen_at)));
        end if;
    end if;
end
$$;
