-- Dispatchers that have not stopped in order, and of which one of the places $2 of this one ($1) can tell whether they are
-- gone.
select id from rowcall_internal.dispatchers where id <> $1 and stopped_at is null and places && $2
