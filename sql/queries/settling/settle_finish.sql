-- Moves jobs that are over into the history.
select rowcall_internal.finish_jobs($1, $2, $3, $4, $5, $6)
