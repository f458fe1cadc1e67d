-- The row key, as the triggers write it, from an object with a string for each key column. A timestamptz must have its
-- zone; a date is read in the caller's DateStyle.
create or replace function rowcall_internal.row_key_of(source rowcall_internal.source_tables, given jsonb) returns jsonb
language plpgsql stable security definer
-- The zone as for the triggers.
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    is_writer constant boolean := rowcall_internal.assert_writer();
    row_key jsonb;
begin
    execute format('select %s from (select %s) t', rowcall_internal.key_sql(source, 't'), (
        select string_agg(format('($1 ->> %L)::%s as %1$I', p.key_column, p.read_as), ', ') from rowcall_internal.key_parts(source) p))
    into row_key using given;
    -- Code of the table's owner may have changed it, and would choose what the caller's next names mean.
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
    return row_key;
end
$$;
