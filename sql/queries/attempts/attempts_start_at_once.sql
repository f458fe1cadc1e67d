-- Gives the rows of attempts that are about to start their running status, starts the jobs, each with its attempt, and looks at the
-- parameters last: all of it or nothing. The nesting is what keeps the order.
select case when rowcall_internal.mark_all($1::oid::regclass, $2, $3, $4, $5, $6, $7, $8) is not null then
    case when rowcall_internal.start_jobs($9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25) is not null then
        rowcall_internal.assert_parameters($26)
    end
end
