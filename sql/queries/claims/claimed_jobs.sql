-- The end of both claims (claim.sql, claim_counted.sql): what a dispatcher must know of the jobs just locked, and of their rows.
-- A job is read from the locked row itself, because another look at the table could see an older version. Its row is read
-- after that, by a function that is volatile: as it is now, and not as it was when this statement began. A line is of a job (id), of
-- a row (of_row), or of a task (claim_plan.sql).
, claimed as (
    select (p.job).id, (p.job).task, (p.job).source_table::oid as source_table, (p.job).source_table::regclass::text as table_name, (p.job).row_key, (p.job).on_status,
        (p.job).moved_to, coalesce((p.job).held_since < now() - interval '1 minute', false) as has_waited, (p.job).concurrency_key, least((p.job).attempt_count, 2147483646) + 1 as number,
        nextval('rowcall_internal.attempts_id_seq') as attempt_id,
        -- The statuses in which the attempt before may have left the row.
        case when (p.job).attempt_count > 0 then (
            select a.request->'write_back'->'expected' from rowcall_internal.attempts a
            where a.job_id = (p.job).id order by a.number desc limit 1) end as expected_before
    from picked p
)
select c.*, false as of_row, null::text as status, null::text as row_data, null::text as version, null::text as error,
    null::bigint as quota, false as counted, false as unkeyed
from claimed c
union all
select null, null, t.source_table, null, r.row_key, null, null, null, null, null, null, null, true, r.status, r.row_data, r.version, r.error,
    null, false, false
from (select source_table, array_agg(row_key) as keys from claimed group by source_table) t
cross join lateral rowcall_internal.source_rows(t.source_table::regclass, t.keys) r
