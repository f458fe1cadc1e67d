-- The functions that belong to rowcall_writer, and run with its rights: all those in which code of users runs, such as
-- triggers of watched tables, policies, and casts of their columns' types. That role may write watched tables, and nothing
-- of Rowcall's.
create or replace function rowcall_internal.functions_of_writer() returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select '{row_key_of,source_rows,write_back,mark_all,status_problem,hold_row,hold_row_now,wanted_rows,condition_holds}'::text[]
$$;
