-- Whether a session waits for the wake lock or has it: from then on every later writer notifies.
select exists (
    select from pg_locks
    where pid = $1 and locktype = 'relation' and relation = 'rowcall_internal.wake_lock'::regclass and mode = 'ShareLock')
