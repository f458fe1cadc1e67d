-- Notes that this dispatcher is about to call a runner that must not be called twice, and returns whether it may. No
-- row: the attempt is not its own, or has ended. A dispatcher that did not get the answer may repeat this.
update rowcall_internal.attempts set asked_at = coalesce(asked_at, now()), asked_by = coalesce(asked_by, $2)
where id = $1 and dispatcher_id = $2
returning asked_by = $2
