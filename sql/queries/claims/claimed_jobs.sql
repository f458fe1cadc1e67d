-- The end of all claims (claim.sql, claim_counted.sql, claim_few.sql, claim_unkeyed.sql): what a dispatcher must know of the jobs just locked. It is
-- read from the locked rows themselves, because another look at the table could see an older version. A line is of a job (id), of
-- a row (of_row, claimed_rows.sql), or of a task (claim_plan.sql).
, claimed as (
    select (p.job).id, (p.job).task, (p.job).source_table::oid as source_table, (p.job).source_table::regclass::text as table_name, (p.job).row_key, (p.job).on_status,
        (p.job).moved_to, coalesce((p.job).held_since < now() - interval '1 minute', false) as has_waited, (p.job).concurrency_key, least((p.job).attempt_count, 2147483646) + 1 as number,
        nextval('rowcall_internal.attempts_id_seq') as attempt_id,
        -- The statuses in which the attempt before may have left the row.
        (p.job).left_as->'expected' as expected_before,
        extract(epoch from (p.job).due_at)::float8 as due
    from picked p
)
select c.*, false as of_row, null::text as status, null::text as row_data, null::text as version, null::text as error,
    null::bigint as quota, false as counted, false as unkeyed
from claimed c
