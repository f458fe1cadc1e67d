-- The registry entry of a source table, or an error that says what to do.
create or replace function rowcall_internal.source_of(source regclass) returns rowcall_internal.source_tables
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    entry rowcall_internal.source_tables;
begin
    select * into entry from rowcall_internal.source_tables where relation = source;
    if not found then
        raise exception 'table % is not watched by Rowcall', source
            using errcode = 'RC010', hint = format('SELECT rowcall.watch(%L);', source);
    end if;
    return entry;
end
$$;
