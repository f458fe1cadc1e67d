-- Lets locked jobs wait, because they cannot have their row now: for $2 seconds at first, and then for half as long as they
-- have been held, up to a minute. A transaction that holds a row for an hour costs a few updates of its job, and not
-- thousands.
update rowcall_internal.jobs j
set state = 'waiting', reason = $3, held_since = coalesce(j.held_since, now()),
    due_at = now() + make_interval(secs => greatest($2, least(coalesce(extract(epoch from now() - j.held_since)::float8, 0) / 2, 60)))
where j.id = any ($1) and j.state = 'pending'
