-- The shorter of two time-outs, in the form of Postgres' settings, where 0 is none.
create or replace function rowcall_internal.shorter_timeout(one text, other text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return case when one = '0' or one::interval > other::interval then other else one end;
end
$$;
