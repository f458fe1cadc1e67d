-- Whether a session's wish to lie down is in the queue (or granted): from then on every later writer notifies.
select exists (
    select from pg_locks
    where pid = $1 and locktype = 'relation' and relation = 'rowcall_internal.wake_lock'::regclass and mode = 'ShareLock')
