-- Attempts whose program was seen to run. Returns those written down; one that somebody holds is seen again.
with free as (
    select id from rowcall_internal.attempts where id = any ($1) and ended_at is null for update skip locked
)
update rowcall_internal.attempts a set begun_at = coalesce(a.begun_at, now()) from free where a.id = free.id returning a.id
