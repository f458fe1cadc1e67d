-- Before a runner is called that must not be called twice: whether this dispatcher may. No row: not its attempt, or
-- not any more. A dispatcher that could not hear the answer to this may say it again.
update rowcall_internal.attempts set asked_at = coalesce(asked_at, now()), asked_by = coalesce(asked_by, $2)
where id = $1 and dispatcher_id = $2 and ended_at is null
returning asked_by = $2
