-- SQL text for a trigger: where it has made jobs, it wakes a dispatcher that sleeps. What is_asleep() does, without a call: that would take
-- a writer of one row a tenth longer. install_triggers() puts a name in place of :status_text.
create or replace function rowcall_internal.wake_sql() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select $sql$if made > 0 and current_setting('rowcall.wake_ups', true) is distinct from 'off' then
                begin
                    lock table rowcall_internal.wake_lock in row exclusive mode nowait;
                exception when lock_not_available then
                    perform rowcall_internal.wake(array(
                        select distinct p.on_status from new_rows n
                        join rowcall.parameters p on p.source_table = source and p.on_status = :status_text));
                end;
            end if$sql$
$$;
