-- Whether a dispatcher sleeps, and must be notified: a commit that carries NOTIFY waits in one line with all others of the whole
-- server, so only a writer that needs it should pay for it.
--
-- A dispatcher that goes to sleep locks rowcall_internal.wake_lock in SHARE mode, looks for jobs once more, and holds the
-- lock while it sleeps. A writer asks for ROW EXCLUSIVE without waiting. Refused: a dispatcher sleeps, or is about
-- to, and NOTIFY wakes it. Granted: none sleeps, and none can fall asleep before this transaction has ended
-- and its jobs can be seen. Neither lock conflicts with itself, so writers do not meet, nor do sleepers.
--
-- SET rowcall.wake_ups = 'off' (for a session, a role, a database) leaves it all to polling; PREPARE TRANSACTION,
-- which refuses a transaction that has notified, needs that.
create or replace function rowcall_internal.is_asleep() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('rowcall.wake_ups', true) = 'off' then
        return false;
    end if;
    lock table rowcall_internal.wake_lock in row exclusive mode nowait;
    return false;
exception when lock_not_available then
    return true;
end
$$;
