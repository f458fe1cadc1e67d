drop trigger if exists parameters_check_loop on rowcall.parameters;
drop table rowcall.control;
drop index rowcall.jobs_pending, rowcall.jobs_pending_by_key, rowcall.jobs_pending_with_key, rowcall.jobs_running;
create index jobs_pending on rowcall.jobs (task, due, id) where state = 'pending';
create index jobs_running on rowcall.jobs (task) where state = 'running';
alter table rowcall.jobs drop column concurrency_key, drop column left_in, drop column withheld;
alter table rowcall.parameters drop column concurrency_key, drop column max_running_per_key, drop column retry_on,
    drop column status_running_by, drop column notify_channel;
