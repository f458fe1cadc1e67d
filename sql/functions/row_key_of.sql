-- The row key of a table's key columns, given as an object of texts that are right for their types: they become those
-- that the triggers write, whatever the caller's settings.
create or replace function rowcall.row_key_of(source regclass, columns jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
-- As for the triggers.
set timezone = 'UTC' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 set datestyle = 'ISO, YMD'
as $$
declare
    entry rowcall.source_tables := rowcall.source_of(source);
    row_key jsonb;
begin
    execute format('select %s from (select %s) t', rowcall.key_sql(entry, 't'), (
        select string_agg(format('($1 ->> %L)::%s as %1$I', k.key_column, k.bounded), ', ') from rowcall.key_parts(entry) k))
    into row_key using columns;
    return row_key;
end
$$;
