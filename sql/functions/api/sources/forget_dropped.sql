-- Stops watching tables that were dropped, and cancels those of their jobs that do not run. Their rows of
-- rowcall.parameters stay, and can be given another source_table. Returns how many tables were forgotten.
create or replace function rowcall.forget_dropped() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    gone regclass;
    forgotten bigint := 0;
begin
    for gone in
        select s.relation from rowcall_internal.source_tables s where not exists (select from pg_class c where c.oid = s.relation)
    loop
        perform rowcall.forget_source(gone);
        delete from rowcall_internal.missed_rows m where m.source_table = gone;
        forgotten := forgotten + 1;
    end loop;
    return forgotten;
end
$$;
