-- Claimed jobs that cannot be launched as things stand: blocked, with the reason, their attempt not counted.
update rowcall.jobs j
set state = 'blocked', blocked = now(), reason = b.reason, attempt_id = null, attempts = j.attempts - 1
from unnest($1::bigint[], $2::text[]) as b(id, reason)
where j.id = b.id and j.state = 'running'
