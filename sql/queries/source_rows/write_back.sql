-- Writes status, result and message into rows of one source table, each by compare-and-set.
select place, state, error
from rowcall_internal.write_back($1::oid::regclass, $2, $3, $4, $5, $6, tasks => $7, channels => $8, back => $9, observers => $10,
    versions => $11, external_ids => $12)
