-- This dispatcher's open attempts that somebody must stop: past a deadline, cancelled, or done and not leaving.
-- A deadline is written down as the stop's reason, so that whoever settles the attempt knows why it ended.
with mine as (
    select a.id, a.stop_requested, a.reported, j.moved_at, j.moved_to,
        case
            when a.launched is null and a.created + a.launch_timeout < now()
                then 'not launched within ' || a.launch_timeout
            when a.launched + a.timeout < now() then 'ran longer than its timeout of ' || a.timeout
            when a.heartbeat + a.heartbeat_timeout < now() then 'no heartbeat for ' || a.heartbeat_timeout
        end as overdue,
        greatest(a.reported, case when j.moved_to in (a.request->'write_back'->>'status_succeeded',
            a.request->'write_back'->>'status_failed') then j.moved_at end) as done
    from rowcall.attempts a
    join rowcall.jobs j on j.id = a.job_id and j.attempt_id = a.id
    where a.dispatcher_id = $1 and a.ended is null
), markable as (
    -- A task that hangs in a transaction of its own may hold its attempt: it is stopped all the same, and the mark
    -- made when that has set the attempt free.
    select a.id, m.overdue from rowcall.attempts a join mine m on m.id = a.id
    where m.overdue is not null and m.done is null and a.stop_requested is null
    for update of a skip locked
), marked as (
    update rowcall.attempts a set stop_requested = m.overdue,
        stop_outcome = case when a.launched is null then 'RUNNER_FAILED' else 'TIMED_OUT' end
    from markable m
    where a.id = m.id
)
select id, coalesce(stop_requested, case when done is null then overdue end, 'it reported its end and did not leave') as reason
from mine
where stop_requested is not null or (overdue is not null and done is null)
   or done + make_interval(secs => $2) < now()
