-- What a dispatcher must know of a job that it has just locked to start it; the common end of the two claims
-- (claim.sql, claim_counted.sql). The job is handed over as it was locked: a look of its own could see an older version.
create or replace function rowcall_internal.job_to_start(job rowcall_internal.jobs)
returns table (id bigint, task text, source_table oid, row_key jsonb, on_status text, moved_to text, concurrency_key text,
               number int, attempt_id bigint, expected_before jsonb)
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select job.id, job.task, job.source_table::oid, job.row_key, job.on_status, job.moved_to, job.concurrency_key,
        job.attempt_count + 1, nextval(pg_get_serial_sequence('rowcall_internal.attempts', 'id')),
        -- The statuses in which the attempt before may have left the row.
        case when job.attempt_count > 0 then (
            select a.request->'write_back'->'expected' from rowcall_internal.attempts a
            where a.job_id = job.id order by a.number desc limit 1) end
$$;
