-- Notes that this dispatcher is still here, and that others wait $2 seconds for the next such sign. Returns the seconds since it
-- did so before; whether any attempt is open; and, if $3, whether there are jobs that do not run, or notes of missed rows. No row:
-- the dispatcher was declared stopped, because it was cut off for too long.
with before as (
    select id, seen_at from rowcall_internal.dispatchers where id = $1 and stopped_at is null for update
), noted as (
    update rowcall_internal.dispatchers d set seen_at = now(), dead_after = make_interval(secs => $2) from before where d.id = before.id
    returning extract(epoch from now())::float8 - extract(epoch from before.seen_at)::float8 as silent_for
)
select silent_for, exists (select from rowcall_internal.attempts) as attempts_open,
    -- Each of these has an index.
    not $3 or exists (select from rowcall_internal.jobs where state = 'pending' and concurrency_key is null)
        or exists (select from rowcall_internal.jobs where state = 'pending' and concurrency_key is not null)
        or exists (select from rowcall_internal.jobs where state = 'waiting')
        or exists (select from rowcall_internal.jobs where state = 'blocked')
        or exists (select from rowcall_internal.missed_rows) as jobs_open
from noted
