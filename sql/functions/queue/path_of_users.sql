-- The search_path for triggers of users, which may name what is in public. Not where everybody may create there: a function
-- of that name that another login has made would run in its place.
create or replace function rowcall_internal.path_of_users() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The first public is PUBLIC, which is no role and has rights like one.
    return case when to_regnamespace('public') is not null and has_schema_privilege('public', 'public', 'create')
        then 'pg_catalog, pg_temp' else 'pg_catalog, public, pg_temp' end;
end
$$;
