-- Still here. A dispatcher that finds itself declared stopped (it was cut off for too long) is told so.
update rowcall_internal.dispatchers set seen_at = now() where id = $1 and stopped_at is null
