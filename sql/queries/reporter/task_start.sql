-- Admits this executor.
select job_id, attempt, task, source_table, row_key, row_data, "values" from rowcall.task_start($1, $2, $3)
