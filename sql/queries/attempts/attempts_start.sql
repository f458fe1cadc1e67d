-- Starts the jobs of a claimed batch, each with its attempt.
select rowcall_internal.start_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
