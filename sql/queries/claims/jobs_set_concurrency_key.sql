-- Sets the rendered concurrency keys of pending jobs.
update rowcall_internal.jobs j set concurrency_key = k.key
from rows from (unnest($1::bigint[], $2::text[]), generate_series(1, cardinality($1))) as k(id, key, place)
where j.id = any ($1) and j.id = k.id and j.state = 'pending'
