-- The rows of a source table with these keys, as jobs and templates see them; no line for a row that is gone. A table
-- that cannot be read returns one line with only an error: "locked" if a lock timed out, and what to do if the table
-- has changed since rowcall.watch(). Every session reads a row the same: the settings that decide how a value is
-- printed are fixed here.
create or replace function rowcall_internal.source_rows(source regclass, keys jsonb[])
returns table (row_key jsonb, status text, row_data jsonb, error text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set bytea_output = 'hex'
set extra_float_digits = 1 set lc_monetary = 'C' set quote_all_identifiers = off
as $$
declare
    entry rowcall_internal.source_tables;
begin
    -- Not among the declarations: an error there would escape the handler below, and stop the whole claim.
    entry := rowcall_internal.source_of(source);
    return query execute format(
        'select w.key, t.%I::text, to_jsonb(t.*), null::text from unnest($1) as w(key) join %s t on %s',
        entry.status_column, source, rowcall_internal.key_match_sql(entry, 't', 'w.key')) using keys;
exception
    when lock_not_available then
        return query select null::jsonb, null::text, null::jsonb, 'locked';
    when others then
        return query select null::jsonb, null::text, null::jsonb, 
        case when entry.id is null then sqlerrm else coalesce(rowcall_internal.source_drift(entry), sqlerrm) end;
end
$$;
