-- Notes that this dispatcher is still here, and returns the seconds since it did so before. No row: the dispatcher was
-- declared stopped, because it was cut off for too long.
with before as (
    select id, seen_at from rowcall_internal.dispatchers where id = $1 and stopped_at is null for update
)
update rowcall_internal.dispatchers d set seen_at = now() from before where d.id = before.id
returning extract(epoch from now())::float8 - extract(epoch from before.seen_at)::float8 as silent_for
