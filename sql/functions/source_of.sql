-- The registry entry of a source table, or an error that says what to do.
create or replace function rowcall.source_of(source regclass) returns rowcall.source_tables
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    entry rowcall.source_tables;
begin
    select * into entry from rowcall.source_tables where relation = source;
    if not found then
        raise exception 'table % is not watched by Rowcall', source
            using errcode = 'RC010', hint = format('SELECT rowcall.watch(%L);', source);
    end if;
    return entry;
end
$$;
