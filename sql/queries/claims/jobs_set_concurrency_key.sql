-- Sets the rendered concurrency keys of pending jobs.
update rowcall_internal.jobs j set concurrency_key = k.key
from unnest($1::bigint[], $2::text[]) as k(id, key)
where j.id = any ($1) and j.id = k.id and j.state = 'pending'
