-- Raises an error unless it is called with the rights of rowcall_writer, where functions belong to that role. Each of these
-- functions begins with it: code of users that runs with their rights could otherwise take from them that they run so, and
-- then be run with its caller's. It is the first of all, since the path of such a function may be another's by then.
create or replace function rowcall_internal.assert_writer() returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_user <> 'rowcall_writer' and exists (
        select from pg_proc p where p.pronamespace = 'rowcall_internal'::regnamespace and p.proname = 'write_back'
            and p.proowner = to_regrole('rowcall_writer'))
    then
        raise exception 'a function of rowcall_writer runs with the rights of %', current_user
            using errcode = '42501', hint = 'It was altered, most likely by code of a watched table''s owner. As a superuser: ALTER FUNCTION name SECURITY DEFINER;';
    end if;
    return true;
end
$$;
