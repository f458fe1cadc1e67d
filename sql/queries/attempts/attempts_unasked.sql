-- Notes that the runner was called and did nothing: any dispatcher may call it again.
update rowcall_internal.attempts set asked_at = null, asked_by = null
where id = $1 and dispatcher_id = $2 and launched_at is null
