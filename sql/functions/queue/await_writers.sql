-- Waits until the transactions have ended that have written to a table and not committed yet: their triggers may have run before
-- parameters were edited, and their rows cannot be seen. No longer than so; returns how many are left. Writers that begin
-- meanwhile are not waited for, and none waits for us.
create or replace function rowcall_internal.await_writers(source regclass, patience interval) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    give_up constant timestamptz := clock_timestamp() + patience;
    writers text[];
begin
    loop
        select array_agg(distinct l.virtualtransaction) into writers
        from pg_locks l
        where l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database())
          and l.relation in (select source union select relid from pg_partition_tree(source))
          and l.mode = 'RowExclusiveLock' and l.granted and l.pid is distinct from pg_backend_pid()
          and (writers is null or l.virtualtransaction = any (writers));
        if writers is null or clock_timestamp() > give_up then
            return coalesce(cardinality(writers), 0);
        end if;
        perform pg_sleep(0.01);
    end loop;
end
$$;
