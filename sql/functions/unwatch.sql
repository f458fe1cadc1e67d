-- Ends what rowcall.watch() began: no new jobs. Jobs not yet running are ended as cancelled; running ones end
-- as they will, and write nothing back.
create or replace function rowcall.unwatch(source regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    entry rowcall.source_tables := rowcall.source_of(source);
    member regclass;
begin
    for member in
        select tgrelid::regclass from pg_trigger
        where tgfoid in (to_regproc(format('rowcall.on_insert_%s', entry.id)),
                         to_regproc(format('rowcall.on_update_%s', entry.id)))
        group by tgrelid
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
end
$$;
