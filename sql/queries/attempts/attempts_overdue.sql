-- The open attempts that this dispatcher must stop: past a deadline, cancelled, or done and still running. A passed
-- deadline is noted as the stop's reason and cause, so that the settler knows why the attempt ended.
--
-- $2: seconds that an attempt has to leave after its report. $3 and $4: attempts that are not known to run yet, with
-- their stage at the runner, or with what holds up their launch. A launched one without a stage gets another hour,
-- because it is not known whether it runs. $5: runners that see no ends, for which a report is the end.
with mine as (
    select a.id, a.stop_requested, a.reported_at, j.moved_at, j.moved_to,
        coalesce(a.begun_at, a.started_at) as begun,
        case
            when a.launched_at is null and a.started_at is null and a.created_at + a.launch_timeout < now()
                then 'not launched within ' || a.launch_timeout || coalesce(' (' || stage.name || ')', '')
            when a.begun_at is null and a.started_at is null and a.created_at + a.launch_timeout < now() and stage.id is not null
                then format('not started within %s (%s)', a.launch_timeout, stage.name)
            -- It was never seen at all, so that nothing else would ever end it.
            when a.begun_at is null and a.started_at is null and a.created_at + a.launch_timeout + interval '1 hour' < now()
                then format('not known to have started within %s and an hour', a.launch_timeout)
            when coalesce(a.begun_at, a.started_at) + a.timeout < now() then 'ran longer than its timeout of ' || a.timeout
            when a.heartbeat_at + a.heartbeat_timeout < now() then 'no heartbeat for ' || a.heartbeat_timeout
        end as overdue,
        -- A program that finds rows by their status may be at work on others when this one is done.
        greatest(a.reported_at, case when a.request->'write_back'->>'running_by_task' is distinct from 'true' and j.moved_to in (a.request->'write_back'->>'status_succeeded',
            a.request->'write_back'->>'status_failed') then j.moved_at end) as done,
        make_interval(secs => case when a.runner = any ($5) then 0 else $2 end) as grace
    from rowcall_internal.attempts a
    join rowcall_internal.jobs j on j.id = a.job_id and j.attempt_id = a.id
    left join unnest($3::bigint[], $4::text[]) as stage(id, name) on stage.id = a.id
    where a.dispatcher_id = $1 and a.ended_at is null
), markable as (
    -- A task that hangs in a transaction of its own may hold its attempt: it is stopped all the same, and the mark
    -- made when that has set the attempt free.
    select a.id, m.overdue from rowcall_internal.attempts a join mine m on m.id = a.id
    where m.overdue is not null and m.done is null and a.stop_requested is null
    for update of a skip locked
), marked as (
    update rowcall_internal.attempts a set stop_requested = m.overdue,
        stop_cause = case when coalesce(a.begun_at, a.started_at) is null then 'launch_timeout'
            when coalesce(a.begun_at, a.started_at) + a.timeout < now() then 'timed_out' else 'no_heartbeat' end
    from markable m
    where a.id = m.id
)
select id, coalesce(stop_requested, case when done is null then overdue end, 'it reported its end and did not leave') as reason
from mine
where stop_requested is not null or (overdue is not null and done is null)
   or done + grace < now()
