-- Locks a row of a source table until the caller's transaction ends; waits for another session that holds the row.
create or replace function rowcall_internal.hold_row(source regclass, row_key jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    is_writer constant boolean := rowcall_internal.assert_writer();
    entry rowcall_internal.source_tables;
begin
    select * into entry from rowcall_internal.source_tables where relation = source;
    if found then
        execute format('select from %s t where %s for no key update', source, rowcall_internal.key_match_sql(entry, 't', '$1'))
        using row_key;
    end if;
    -- Code of the table's owner may have changed it, and would choose what the caller's next names mean.
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
end
$$;
