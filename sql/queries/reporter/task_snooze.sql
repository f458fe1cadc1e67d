-- Reports that the task is not ready yet.
select rowcall.task_snooze($1, make_interval(secs => $2), $3)
