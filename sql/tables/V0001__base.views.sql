-- The second half of V0001__base.sql: what people read.

-- Comments for readers of the views.
comment on column rowcall_internal.jobs.task is 'Its row of rowcall.parameters.';
comment on column rowcall_internal.jobs.source_table is 'The table of its row.';
comment on column rowcall_internal.jobs.row_key is 'The key of its row, as an object of its columns.';
comment on column rowcall_internal.jobs.state is 'pending, waiting for due_at, blocked, or running.';
comment on column rowcall_internal.jobs.due_at is 'When it may be claimed.';
comment on column rowcall_internal.jobs.attempt_id is 'Its attempt, while it runs.';
comment on column rowcall_internal.jobs.attempt_count is 'Attempts so far.';
comment on column rowcall_internal.jobs.reason is 'Why it waits, or why it is blocked.';
comment on column rowcall_internal.jobs.blocked_at is 'Since when it is blocked.';
comment on column rowcall_internal.jobs.moved_at is 'When a user moved the row.';
comment on column rowcall_internal.jobs.created_at is 'When its row asked for it.';
comment on column rowcall_internal.attempts.number is '1 for the first try of its job.';
comment on column rowcall_internal.attempts.launch_key is 'By which its runner knows it.';
comment on column rowcall_internal.attempts.dispatcher_id is 'The daemon that has it.';
comment on column rowcall_internal.attempts.created_at is 'When its job was claimed.';
comment on column rowcall_internal.attempts.external_id is 'The name that its runner gave it, such as the ARN of a task.';
comment on column rowcall_internal.attempts.executor is 'The program that called task_start, in its own words.';
comment on column rowcall_internal.attempts.progress is 'From 0 to 1, as its program told.';
comment on column rowcall_internal.attempts.report is 'What its program reported: succeeded, failed, snoozed or runner_failed.';
comment on column rowcall_internal.attempts.result is 'What its program reported or printed as its result.';
comment on column rowcall_internal.attempts.message is 'What its program said of its failure.';
comment on column rowcall_internal.attempts.detail is 'Details of its failure, as JSON.';
comment on column rowcall_internal.attempts.retry is 'Whether its program thinks that another try may help.';
comment on column rowcall_internal.attempts.snooze is 'How long its program wants to wait.';
comment on column rowcall_internal.attempts.row_written is 'Whether its row was written when it reported.';
comment on column rowcall_internal.attempts.stop_requested is 'Why it must be stopped.';
comment on column rowcall_internal.attempts.stop_cause is 'Why it must be stopped, in one word.';
comment on column rowcall_internal.ended_attempts.outcome is 'How it ended.';
comment on column rowcall_internal.ended_attempts.exit_code is 'That of its program.';
comment on column rowcall_internal.ended_attempts.reason is 'Why it ended, in words.';
comment on column rowcall_internal.ended_attempts.output is 'The end of what its program printed.';
comment on column rowcall_internal.attempts.log_group is 'The log group of its output, where the runner keeps one.';
comment on column rowcall_internal.attempts.log_stream is 'The log stream of its output.';
comment on column rowcall_internal.history.on_status is 'The status that asked for it.';
comment on column rowcall_internal.history.attempt_count is 'Attempts in all.';
comment on column rowcall_internal.history.message is 'Why it ended so.';
comment on column rowcall_internal.history.write_back is 'What kept its end from the row, if anything did.';
comment on column rowcall_internal.history.cancelled_by is 'The login that cancelled it.';
comment on column rowcall_internal.history.created_at is 'When its row asked for it.';
comment on column rowcall_internal.history.settled_at is 'When it was over.';
comment on column rowcall_internal.dispatchers.host is 'The name of its machine.';
comment on column rowcall_internal.dispatchers.runners is 'The runners that it offers.';
comment on column rowcall_internal.dispatchers.seen_at is 'When it last showed that it lives.';
comment on column rowcall_internal.missed_rows.error is 'Why the trigger could make no job.';
comment on column rowcall_internal.missed_rows.noted_at is 'When the trigger noted it.';
comment on column rowcall_internal.missed_rows.moved_to is 'The status that a user gave the row, of which its jobs do not know yet.';
comment on column rowcall_internal.missed_rows.moved_by is 'The login that moved the row.';
comment on column rowcall_internal.parameters_history.operation is 'INSERT, UPDATE or DELETE.';
comment on column rowcall_internal.parameters_history.changed_by is 'The login that did it.';

-- What people read: views of the tables in rowcall_internal, under the names they know. The triggers and the daemon name
-- the tables. No view shows the hash of a token.
create view rowcall.jobs as select
    id, task, source_table, row_key, on_status, state, run_again, cancel_requested, cancelled_by, moved_to, moved_at, moved_by, due_at,
    attempt_id, attempt_count, failures, runner_failures, reason, held_since, refused_by, blocked_at, created_at, concurrency_key,
    left_as, short_key
from rowcall_internal.jobs;
comment on view rowcall.jobs is 'Jobs that are not settled.';
create view rowcall.attempts as select
    a.id, job_id, task, source_table, row_key, number, runner, launch_key,
    t.terms || jsonb_build_object('launch', t.terms->'launch' || coalesce(a.rendered, '{}')) as request, timeout, launch_timeout,
    heartbeat_timeout, dispatcher_id, created_at, asked_at, asked_by, launched_at, external_id, begun_at, log_group, log_stream,
    executor, started_at, heartbeat_at, progress, progress_message, report, reported_at, result, message, detail, retry,
    snooze, row_written, stop_requested, stop_cause, ended_at, outcome, cause, exit_code, reason, output
from (select * from rowcall_internal.open_attempts union all select * from rowcall_internal.ended_attempts) a
left join rowcall_internal.terms t on t.id = a.terms_id;
comment on column rowcall.attempts.request is 'What the runner was asked, as it was frozen at the claim.';
comment on view rowcall.attempts is 'Every try of a job, as long as the history is kept.';
create view rowcall.history as select * from rowcall_internal.history;
comment on view rowcall.history is 'Settled jobs, as long as the history is kept.';
create view rowcall.dispatchers as select d.*, exists (
    select from rowcall_internal.running_dispatchers r where r.id = d.id) as is_running
from rowcall_internal.dispatchers d;
comment on view rowcall.dispatchers is 'The daemons, when each was last seen, and whether it is taken to run.';
create view rowcall.parameters_history as select * from rowcall_internal.parameters_history;
comment on view rowcall.parameters_history is 'Every edit of parameters and runner_defaults: who, when, old and new.';
create view rowcall.missed_rows as select * from rowcall_internal.missed_rows;
comment on view rowcall.missed_rows is 'Rows for which a trigger could not make a job; a dispatcher makes these later.';
create view rowcall.source_tables as select * from rowcall_internal.source_tables;
comment on view rowcall.source_tables is 'The watched tables: what rowcall.watch() took down of each.';
create view rowcall.control as select * from rowcall_internal.control;
comment on view rowcall.control is 'Whether everything is paused, since when, by whom and why.';
create view rowcall.migrations as select * from rowcall_internal.migrations;
comment on view rowcall.migrations is 'The migrations that were applied.';

-- What people ask most, ready to read.
create view rowcall.running as
select a.job_id, a.id as attempt_id, a.task, a.source_table, a.row_key, a.number, a.runner, a.external_id,
    coalesce(a.begun_at, a.started_at, a.launched_at, a.created_at) as since,
    now() - coalesce(a.begun_at, a.started_at, a.launched_at, a.created_at) as running_for,
    a.timeout, a.heartbeat_at, a.progress, a.progress_message,
    coalesce(j.cancel_requested, a.stop_requested) as stopped_for, a.dispatcher_id
from rowcall_internal.attempts a
join rowcall_internal.jobs j on j.id = a.job_id and j.attempt_id = a.id;
comment on view rowcall.running is 'The attempts that run now.';
comment on column rowcall.running.since is 'When its program was seen to begin; until then, when it was launched or claimed.';
comment on column rowcall.running.stopped_for is 'Why it is being stopped, if it is.';

create view rowcall.blocked as
select id as job_id, task, source_table, row_key, on_status, blocked_at as since, reason
from rowcall_internal.jobs where state = 'blocked';
comment on view rowcall.blocked is 'Jobs that cannot run as things are, each with what to change: what an alert should ask.';

create view rowcall.failed as
select h.job_id, h.task, h.source_table, h.row_key, h.outcome, h.cause, h.message, h.attempt_count, h.write_back, h.cancelled_by, h.settled_at,
    exists (
        select from rowcall_internal.history s
        where s.row_key = h.row_key and s.source_table = h.source_table and s.task = h.task and s.outcome = 'SUCCEEDED'
            and s.settled_at > h.settled_at) as succeeded_since
from rowcall_internal.history h where h.outcome in ('TASK_FAILED', 'TIMED_OUT', 'RUNNER_FAILED', 'LOST', 'CANCELLED');
comment on view rowcall.failed is 'Settled jobs that ended in a failure, or were cancelled.';
comment on column rowcall.failed.succeeded_since is 'Whether a later job of the same task and row has succeeded.';

create view rowcall.durations as
select task, count(*) as attempts,
    percentile_cont(0.5) within group (order by begun - created_at) as start_median,
    percentile_cont(0.5) within group (order by ended_at - begun) as run_median,
    percentile_cont(0.95) within group (order by ended_at - begun) as run_95_percent,
    max(ended_at - begun) as run_longest,
    min(ended_at) as first_end, max(ended_at) as last_end
from (
    select task, created_at, ended_at, coalesce(begun_at, started_at, launched_at, created_at) as begun
    from rowcall_internal.ended_attempts where outcome = 'SUCCEEDED') a
group by task;
comment on view rowcall.durations is 'For each task, how long its attempts that succeeded took, as long as the history is kept.';
comment on column rowcall.durations.start_median is 'From the claim to the begin of the program.';
comment on column rowcall.durations.run_95_percent is '95 of 100 attempts ran no longer.';

-- A column of a view gets the comment of the table's column.
do $$
declare
    remark text;
begin
    for remark in
        select format('comment on column %s.%I is %L', v.oid::regclass, c.attname, d.description)
        from pg_class t join pg_class v on v.relname = t.relname or v.relname = 'attempts' and t.relname = 'ended_attempts'
        join pg_attribute c on c.attrelid = v.oid and c.attnum > 0
        join pg_attribute a on a.attrelid = t.oid and a.attname = c.attname
        join pg_description d on d.classoid = 'pg_class'::regclass and (d.objoid, d.objsubid) = (t.oid, a.attnum)
        where t.relnamespace = 'rowcall_internal'::regnamespace and v.relnamespace = 'rowcall'::regnamespace
          and v.relkind = 'v'
    loop
        execute remark;
    end loop;
end
$$;
