-- Gone on purpose: what still runs may be adopted at once.
update rowcall_internal.dispatchers set stopped_at = now() where id = $1 and stopped_at is null
