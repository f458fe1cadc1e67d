-- Notes that this dispatcher has stopped, so that others may adopt at once what still runs.
update rowcall_internal.dispatchers set stopped_at = now() where id = $1 and stopped_at is null
