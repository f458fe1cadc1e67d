-- Makes the rights of PUBLIC and of Rowcall's own roles in the two schemas those of rowcall_internal.grants(), as far as
-- the roles exist. For the owner of the schemas; every migration ends with it.
create or replace function rowcall_internal.apply_grants() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    mend text;
begin
    for mend in select fix from rowcall.grants_wrong() where ours loop
        execute mend;
    end loop;
end
$$;
