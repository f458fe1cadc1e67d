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
begin
    for member in
        select t.tgrelid::regclass
        from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('rowcall', 'rowcall_internal')
          and p.proname in (format('on_insert_%s', entry_id), format('on_update_%s', entry_id))
        group by t.tgrelid
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
