-- Gives rowcall_writer its functions; then grants and revokes until PUBLIC and Rowcall's own roles have exactly the rights
-- of rowcall_internal.grants() in the two schemas, as far as the roles exist. It is for the owner of the schemas; every
-- migration ends with it.
create or replace function rowcall_internal.apply_grants() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    mend text;
    writers regprocedure;
begin
    if to_regrole('rowcall_writer') is not null and pg_has_role('rowcall_writer', 'member') then
        begin
            -- To be given a function takes the right to make one, for that moment.
            grant create on schema rowcall_internal to rowcall_writer;
            for writers in
                select p.oid from pg_proc p
                where p.pronamespace = 'rowcall_internal'::regnamespace and p.proname = any (rowcall_internal.functions_of_writer())
                  and p.proowner <> 'rowcall_writer'::regrole
            loop
                execute format('alter function %s owner to rowcall_writer', writers);
            end loop;
            revoke create on schema rowcall_internal from rowcall_writer;
        exception when insufficient_privilege then
            -- A member that may not act as the role (PostgreSQL 16) keeps them; grants_wrong() says so.
        end;
    end if;
    for mend in select fix from rowcall.grants_wrong() where ours loop
        execute mend;
    end loop;
end
$$;
