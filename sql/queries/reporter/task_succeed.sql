-- Reports that the program did its work.
select rowcall.task_succeed($1, $2)
