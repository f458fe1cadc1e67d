-- Locks a row of a source table until the caller's transaction ends. Returns whether it did: not a row that is gone, nor one
-- that another session holds.
create or replace function rowcall_internal.hold_row_now(source regclass, row_key jsonb) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    is_writer constant boolean := rowcall_internal.assert_writer();
    entry constant rowcall_internal.source_tables := rowcall_internal.source_of(source);
    held bigint;
begin
    execute format('select from %s t where %s for no key update skip locked', source, rowcall_internal.key_match_sql(entry, 't', '$1'))
    using row_key;
    get diagnostics held = row_count;
    -- Code of the table's owner may have changed it, and would choose what the caller's next names mean.
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
    return held > 0;
end
$$;
