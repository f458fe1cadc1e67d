-- Where this installation is at home, if that is another server or database than this one: what it says of jobs and attempts
-- is then another's. The first call takes it down, and so does one that says that it has moved here. A copy of the whole
-- server cannot be told from it.
create or replace function rowcall_internal.copied_from(has_moved boolean) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    here constant text := format('server %s, database %s', (select system_identifier from pg_control_system()),
        (select oid from pg_database where datname = current_database()));
    home text;
begin
    select i.home into home from rowcall_internal.instance i;
    if home is null or has_moved then
        update rowcall_internal.instance i set home = here where i.home is distinct from here;
        return null;
    end if;
    return nullif(home, here);
end
$$;
