-- This dispatcher's open attempts that must be stopped: past a deadline, cancelled, or done and not leaving.
-- A deadline is written down as the stop's cause and reason, so that the settler knows why the attempt ended. "is_written"
-- is false where another session holds the attempt: it may be a heartbeat, after which there is no reason to stop any more.
-- $3 and $4: attempts that their runner was seen to have and not to run, and at what stage, where not knowing is no
-- reason to stop; and those not launched, with what held that up. $5: runners that see no ends, where a report is the end.
-- $6: attempts that are followed here although another dispatcher, which is gone, has them still. $7: all that are followed here. Each is
-- found by its number: the index also has all that are over, for as long as an old snapshot keeps vacuum from removing them.
with mine as (
    select a.id, coalesce(j.cancel_requested, a.stop_requested) as stop_requested, a.launched_at, l.heartbeat,
        -- The cause, and the words for a person.
        case
            when w.write_back->>'on_moved' = 'stop' and j.moved_to <> coalesce(w.write_back->>'status_succeeded', '')
                    and j.moved_to <> coalesce(w.write_back->>'status_failed', '')
                    and j.moved_to <> coalesce(w.write_back->>'status_runner_failed', '')
                    and not (w.write_back->'expected') ? j.moved_to
                then array['moved_on', 'the row moved on to ' || j.moved_to]
            when a.launched_at is null and a.started_at is null and a.created_at < now() - l.launch
                then array['launch_timeout', 'not launched within ' || a.launch_timeout || coalesce(' (' || stage.name || ')', '')]
            when a.begun_at is null and a.started_at is null and a.created_at < now() - l.launch and stage.id is not null
                then array['launch_timeout', format('not started within %s (%s)', a.launch_timeout, stage.name)]
            -- It was never seen at all, so that nothing else would ever end it.
            when a.begun_at is null and a.started_at is null and a.created_at < now() - l.launch - interval '1 hour'
                then array['launch_timeout', format('not known to have started within %s and an hour', a.launch_timeout)]
            when coalesce(a.begun_at, a.started_at) < now() - l.run
                then array['timed_out', 'ran longer than its timeout of ' || a.timeout]
            when a.heartbeat_at < now() - l.heartbeat
                then array['no_heartbeat', 'no heartbeat for ' || a.heartbeat_timeout]
        end as overdue,
        -- A task that finds rows by their status may be at work on others when this one is done.
        greatest(a.reported_at, case
            when w.write_back->>'running_by_task' is distinct from 'true'
                and j.moved_to in (w.write_back->>'status_succeeded', w.write_back->>'status_failed',
                    w.write_back->>'status_runner_failed')
            then j.moved_at end) as done,
        make_interval(secs => case when a.runner = any ($5) then 0 else $2 end) as grace
    from rowcall_internal.attempts a
    -- With a limit it is one look at an index for each attempt, also by a plan that was made while there were no jobs.
    cross join lateral (
        select cancel_requested, moved_to, moved_at from rowcall_internal.jobs where id = a.job_id and attempt_id = a.id limit 1) j
    left join lateral (select t.terms->'write_back' as write_back from rowcall_internal.terms t where t.id = a.terms_id) w on true
    -- Within what a time can be added to, whatever a table holds.
    cross join lateral (select least(greatest(a.launch_timeout, '0'), '1 year') as launch, least(greatest(a.timeout, '0'), '1 year') as run,
        case when a.heartbeat_timeout is not null then least(greatest(a.heartbeat_timeout, '0'), '1 year') end as heartbeat) l
    left join rows from (unnest($3::bigint[], $4::text[]), generate_series(1, cardinality($3))) as stage(id, name, place) on stage.id = a.id
    where a.id = any ($7) and (a.dispatcher_id = $1 or a.id = any ($6))
), markable as (
    select m.id, m.overdue from mine m
    cross join lateral (
        select from rowcall_internal.attempts a
        where a.id = m.id and a.stop_requested is null and a.reported_at is null
          -- Once more, of the attempt as it is when it is locked: it may have begun or sent a heartbeat since the look above.
          and case m.overdue[1]
              when 'launch_timeout' then coalesce(a.begun_at, a.started_at) is null and a.launched_at is not distinct from m.launched_at
              when 'no_heartbeat' then a.heartbeat_at < now() - m.heartbeat
              else true end
        limit 1 for update skip locked) a
    where m.overdue is not null and m.done is null
    -- The others at the next look.
    limit 2000
), marked as (
    update rowcall_internal.attempts a set stop_requested = m.overdue[2], stop_cause = m.overdue[1]
    from markable m
    where a.id = m.id and a.id = any (array(select id from markable))
    returning a.id
)
select id, coalesce(stop_requested, case when done is null then overdue[2] end, 'it reported its end and did not leave') as reason,
    case when stop_requested is null and done is null then overdue[1] end as cause,
    stop_requested is null and done is not null as is_done,
    stop_requested is not null or done is not null or id in (select id from marked) as is_written
from mine
where stop_requested is not null or (overdue is not null and done is null)
   or done < now() - grace
