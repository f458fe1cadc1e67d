-- Claimed jobs whose row is held by somebody's transaction: back in a moment, their attempt not counted.
update rowcall.jobs j
set state = 'waiting', due = now() + make_interval(secs => $2), reason = $3, attempt_id = null,
    attempts = j.attempts - 1
where j.id = any ($1) and j.state = 'running'
