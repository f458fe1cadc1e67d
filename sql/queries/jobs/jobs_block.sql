-- Blocks locked jobs that cannot start as things are, with the reason.
update rowcall_internal.jobs j
set state = 'blocked', blocked_at = now(), reason = b.reason, held_since = null
from rows from (unnest($1::bigint[], $2::text[]), generate_series(1, cardinality($1))) as b(id, reason, place)
where j.id = any ($1) and j.id = b.id and j.state = 'pending'
