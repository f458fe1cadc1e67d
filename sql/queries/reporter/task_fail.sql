-- Reports that the program failed.
select rowcall.task_fail($1, $2, $3, $4, $5)
