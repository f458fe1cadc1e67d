-- Lets locked jobs wait for $2 seconds, because they cannot have their row now.
update rowcall_internal.jobs j
set state = 'waiting', due_at = now() + make_interval(secs => $2), reason = $3
where j.id = any ($1) and j.state = 'pending'
