-- Which of our own writes a change of a source table is, or the empty string if it is none; write_back() says what the words
-- mean.
create or replace function rowcall_internal.own_writing() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    said constant text := current_setting('rowcall.writing', true);
begin
    return case when split_part(said, ' ', 2) = rowcall_internal.writing_proof() then split_part(said, ' ', 1) else '' end;
end
$$;
