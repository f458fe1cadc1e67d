-- Caps by key, what is worth a retry, several tasks on one status, announcements, and a pause for all.
-- oldest-daemon: 2

alter table rowcall.parameters
    add column concurrency_key text
        constraint concurrency_key_is_not_empty check (concurrency_key <> ''),
    add column max_running_per_key int not null default 1
        constraint max_running_per_key_is_positive check (max_running_per_key > 0),
    add column retry_on text[] not null default '{TASK_FAILED,TIMED_OUT,RUNNER_FAILED,LOST}',
    add column status_running_by text not null default 'rowcall'
        constraint status_running_by_is_rowcall_or_task check (status_running_by in ('rowcall', 'task')),
    add column notify_channel text
        constraint notify_channel_is_a_name check (notify_channel ~ '^[A-Za-z_][A-Za-z0-9_]{0,62}$');

alter table rowcall.jobs
    add column concurrency_key text,
    add column left_in text,
    add column withheld jsonb;
comment on column rowcall.jobs.concurrency_key is
    'parameters.concurrency_key rendered with its row; null until a dispatcher has done so, or where the task has none.';
comment on column rowcall.jobs.left_in is
    'A status other than on_status in which its row may be found: another task on the same status gave it, or it was '
    'asked for by hand.';
comment on column rowcall.jobs.withheld is
    'How another task on the same status ended, and the status it would have written: for whoever ends last.';

-- A job is in one of the two: without a key, so that tasks without one pay nothing for it, or with one.
drop index rowcall.jobs_pending;
create index jobs_pending on rowcall.jobs (task, due, id) where state = 'pending' and concurrency_key is null;
create index jobs_pending_by_key on rowcall.jobs (task, concurrency_key, due, id)
    where state = 'pending' and concurrency_key is not null;
create index jobs_pending_with_key on rowcall.jobs (task, due, id)
    where state = 'pending' and concurrency_key is not null;
drop index rowcall.jobs_running;
create index jobs_running on rowcall.jobs (task, concurrency_key) where state = 'running';

-- One row: what holds for all tasks. Apart from rowcall.instance, whose secret only the daemon may read.
create table rowcall.control (
    paused timestamptz,
    paused_by text,
    pause_reason text,
    only_one boolean primary key default true check (only_one)
);
insert into rowcall.control default values;
