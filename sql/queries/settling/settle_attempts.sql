-- Writes the ends of a batch of attempts, which were so many seconds ago. A result that the task reported stays.
update rowcall_internal.attempts a
set ended_at = greatest(a.created_at, a.begun_at, a.started_at, clock_timestamp() - make_interval(secs => least(s.ago, 31536000))), outcome = s.outcome, cause = s.cause, exit_code = s.exit_code, reason = s.reason, output = s.output,
    result = coalesce(a.result, s.result), external_id = coalesce(s.external_id, a.external_id)
from unnest($1::bigint[], $2::text[], $3::int[], $4::text[], $5::text[], $6::jsonb[], $7::text[],
        $8::text[], $9::float8[])
    as s(id, outcome, exit_code, reason, output, result, external_id, cause, ago)
where a.id = s.id and a.ended_at is null
