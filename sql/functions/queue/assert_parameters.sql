-- Raises an error unless schema and parameters are those that a dispatcher has read under this stamp.
create or replace function rowcall_internal.assert_parameters(stamp text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if stamp is distinct from rowcall_internal.parameters_stamp() then
        raise exception 'parameters or schema have changed' using errcode = 'RC015';
    end if;
end
$$;
