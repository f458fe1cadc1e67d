-- Admits this executor.
select rowcall.task_start($1, $2)
