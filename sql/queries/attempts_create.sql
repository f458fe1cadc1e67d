-- The attempts of a claimed batch, with their frozen requests, before any runner is called.
insert into rowcall.attempts (id, job_id, task, source_table, row_key, number, runner, launch_key, token_hash,
    request, timeout, launch_timeout, heartbeat_timeout, dispatcher_id)
overriding system value
select a.id, a.job_id, a.task, a.source_table::regclass, a.row_key, a.number, a.runner, a.launch_key, a.token_hash,
    a.request, make_interval(secs => a.timeout), make_interval(secs => a.launch_timeout),
    make_interval(secs => a.heartbeat_timeout), $1
from unnest($2::bigint[], $3::bigint[], $4::text[], $5::oid[], $6::jsonb[], $7::int[], $8::text[], $9::text[],
    $10::bytea[], $11::jsonb[], $12::float8[], $13::float8[], $14::float8[])
    as a(id, job_id, task, source_table, row_key, number, runner, launch_key, token_hash, request, timeout,
         launch_timeout, heartbeat_timeout)
