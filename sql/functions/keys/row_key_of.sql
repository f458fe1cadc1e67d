-- The row key of a table's key columns, given as an object of what is read as their types: it becomes that which the
-- triggers write. A time with a zone must come with it; a date is read as the caller writes dates.
create or replace function rowcall_internal.row_key_of(source rowcall_internal.source_tables, given jsonb) returns jsonb
language plpgsql stable
-- The zone as for the triggers.
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    row_key jsonb;
begin
    execute format('select %s from (select %s) t', rowcall_internal.key_sql(source, 't'), (
        select string_agg(format('($1 ->> %L)::%s as %1$I', p.key_column, p.read_as), ', ') from rowcall_internal.key_parts(source) p))
    into row_key using given;
    return row_key;
end
$$;
