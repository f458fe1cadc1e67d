-- After claimed_jobs.sql: the rows of the jobs just locked, by a function that is volatile, so that a row is read as it is now, and
-- not as it was when this statement began. It runs code of users, whose error is the whole statement's: after one, the jobs are
-- locked by a statement of their own.
union all
select null, null, t.source_table, null, r.row_key, null, null, null, null, null, null, null, null, true, r.status, r.row_data, r.version, r.error,
    null, false, false
from (select source_table, array_agg(row_key) as keys from claimed group by source_table) t
cross join lateral rowcall_internal.source_rows(t.source_table::regclass, t.keys) r
