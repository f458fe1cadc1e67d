-- Notes that this dispatcher is still here. It updates no row if the dispatcher was declared stopped, because it was
-- cut off for too long.
update rowcall_internal.dispatchers set seen_at = now() where id = $1 and stopped_at is null
