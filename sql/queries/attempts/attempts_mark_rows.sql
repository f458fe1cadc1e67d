-- Gives the rows of attempts that are about to start their running status, all of them or none.
select rowcall_internal.mark_all($1::oid::regclass, $2, $3, $4, $5, $6, $7, $8)
