-- The ends of a batch of attempts.
update rowcall.attempts a
set ended = clock_timestamp(), outcome = s.outcome, exit_code = s.exit_code, reason = s.reason, output = s.output
from unnest($1::bigint[], $2::text[], $3::int[], $4::text[], $5::text[]) as s(id, outcome, exit_code, reason, output)
where a.id = s.id and a.ended is null
