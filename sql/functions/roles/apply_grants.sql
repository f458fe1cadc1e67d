-- Grants and revokes until PUBLIC and Rowcall's own roles have exactly the rights of rowcall_internal.grants() in the
-- two schemas, as far as the roles exist. It is for the owner of the schemas; every migration ends with it.
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
