-- Drops the functions of these names, all overloads of them: those whose file is gone, and those whose file is about to
-- make them with other arguments or another result, which "create or replace" refuses. Their triggers on Rowcall's own
-- tables go with them; their files make these again. A function that an object of the user's own depends on stays.
do $$
declare
    dropped constant text[] := current_setting('rowcall.functions_dropped');
    gone constant text[] := current_setting('rowcall.functions_gone');
    old record;
    own record;
begin
    for old in
        select p.oid, p.oid::regprocedure as signature, p.proname = any (gone) as is_gone
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('rowcall', 'rowcall_internal') and p.proname = any (dropped)
    loop
        begin
            for own in
                select t.tgname, t.tgrelid::regclass as relation
                from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
                where t.tgfoid = old.oid and not t.tgisinternal and n.nspname in ('rowcall', 'rowcall_internal')
                  and t.tgparentid = 0
            loop
                execute format('drop trigger %I on %s', own.tgname, own.relation);
            end loop;
            execute format('drop function %s', old.signature);
        exception when dependent_objects_still_exist then
            if old.is_gone then
                raise warning 'the function % is no part of Rowcall any more, and stays, because other objects need it',
                    old.signature using hint = format('DROP FUNCTION %s CASCADE; names them and drops them, too.', old.signature);
            end if;
        end;
    end loop;
    delete from rowcall_internal.functions where name = any (gone);
end
$$;
