-- The search_path for triggers of users, which may name what is in public. Not where everybody may create there: a function
-- of that name that another login has made would run in its place.
create or replace function rowcall_internal.path_of_users() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when exists (
            select from pg_namespace n cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
            where n.nspname = 'public' and a.grantee = 0 and a.privilege_type = 'CREATE')
        then 'pg_catalog, pg_temp' else 'pg_catalog, public, pg_temp' end
$$;
