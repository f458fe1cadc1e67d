-- Writes the ends of a batch of attempts, and moves the jobs that are over into the history. The nesting is what keeps the order.
select case when rowcall_internal.end_attempts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) is not null then
    rowcall_internal.finish_jobs($14, $15, $16, $17, $18, $19)
end
