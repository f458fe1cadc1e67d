-- What the history says of jobs that ended because their table is not watched any more. They were wanted, and rescan makes
-- them again.
create or replace function rowcall_internal.unwatched() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select 'the table is no longer watched'
$$;
