-- A heartbeat.
select rowcall.task_progress($1, $2, $3)
