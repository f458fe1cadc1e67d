-- Writes the ends of a batch of attempts.
select rowcall_internal.end_attempts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
