-- Drops the functions that install_row_functions() has written for the source table with this number.
create or replace function rowcall_internal.drop_row_functions(source_id int) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    written regprocedure;
begin
    for written in
        select p.oid from pg_proc p
        where p.pronamespace = 'rowcall_internal'::regnamespace
          and p.proname ~ format('^((read_rows|mark_rows|mark_all)_%1$s|(write_rows|write_results)_%1$s_\d+)$', source_id)
    loop
        execute format('drop function %s', written);
    end loop;
end
$$;
