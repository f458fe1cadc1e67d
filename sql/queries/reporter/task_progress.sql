-- Sends a heartbeat, with progress.
select rowcall.task_progress($1, $2, $3)
