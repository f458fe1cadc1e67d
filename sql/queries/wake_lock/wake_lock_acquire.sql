-- From the grant of this lock until its release, every writer that makes jobs sends a notification; see
-- rowcall_internal.is_asleep(). It waits for writers that were told before that no dispatcher sleeps. It takes no snapshot,
-- so neither the wait nor the sleep holds back vacuum. The time limits of the role and the database are lifted for it.
begin;
set local statement_timeout = 0;
set local lock_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
do $$
begin
    -- For people and tools that end sessions which are idle in a transaction. At most 63 bytes.
    perform set_config('application_name', left(current_setting('application_name'), 20) || ' asleep, idle in transaction on purpose', true);
    if current_setting('transaction_timeout', true) is not null then
        perform set_config('transaction_timeout', '0', true);
    end if;
end
$$;
lock table rowcall_internal.wake_lock in share mode;
