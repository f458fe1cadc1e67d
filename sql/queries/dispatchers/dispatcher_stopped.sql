-- Gone on purpose: what still runs may be adopted at once.
update rowcall_internal.dispatchers set stopped = now() where id = $1 and stopped is null
