-- Claimed jobs whose row says another key than the one they were claimed by: back in the queue under that.
update rowcall.jobs j
set state = 'pending', concurrency_key = k.key, attempt_id = null, attempts = j.attempts - 1
from unnest($1::bigint[], $2::text[]) as k(id, key)
where j.id = k.id and j.state = 'running'
