-- Of these jobs, those whose row another owner has.
select rowcall_internal.jobs_without_row($1)
