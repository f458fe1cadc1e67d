-- Stops watching a table: it makes no more jobs, and jobs that do not run are cancelled. Running ones end by themselves
-- and write nothing back.
create or replace function rowcall.unwatch(source regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    -- By the catalogue: the caller may not name what is in rowcall_internal.
    entry_id constant int := (select s.id from rowcall.source_tables s where s.relation = source);
    member regclass;
    own_lock_timeout constant text := current_setting('lock_timeout');
    patience constant text := case when own_lock_timeout = '0' or own_lock_timeout::interval > interval '100 ms' then '100ms' else own_lock_timeout end;
    tries_end constant timestamptz := clock_timestamp() + interval '10 seconds';
begin
    -- Later sessions wait behind a lock that is waited for. So this lets go of all, soon, and begins anew.
    loop
        begin
            perform set_config('lock_timeout', patience, true);
            -- The whole before its partitions, as writers lock them.
            for member in
                select t.tgrelid::regclass
                from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
                where n.nspname in ('rowcall', 'rowcall_internal')
                  and p.proname in (format('on_insert_%s', entry_id), format('on_update_%s', entry_id))
                group by t.tgrelid order by (select count(*) from pg_partition_ancestors(t.tgrelid)), t.tgrelid
            loop
                begin
                    execute format('drop trigger if exists rowcall_insert on %s', member);
                    execute format('drop trigger if exists rowcall_update on %s', member);
                exception when insufficient_privilege then
                    -- To drop a trigger takes more than to make one. Without its entry below it does nothing.
                    raise warning 'rowcall.unwatch: the triggers on % stay, idle: %', member, sqlerrm
                        using hint = format('Its owner can: DROP TRIGGER rowcall_insert ON %1$s; DROP TRIGGER rowcall_update ON %1$s;',
                            member);
                end;
            end loop;
            perform rowcall.forget_source(source);
            exit;
        exception when lock_not_available or deadlock_detected then
            if patience = own_lock_timeout then
                -- A caller that has no more patience begins anew itself, as `rowcall migrate` does.
                raise;
            elsif clock_timestamp() > tries_end then
                raise exception 'rowcall.unwatch: other sessions have used % or its jobs for 10 seconds and not ended', source
                    using errcode = '55P03', hint = 'Try again when their transactions have ended.';
            end if;
            perform pg_sleep(0.1 + 0.2 * random());
        end;
    end loop;
    perform set_config('lock_timeout', own_lock_timeout, true);
end
$$;
