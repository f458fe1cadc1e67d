-- Which role of Rowcall is a member of which: an admin may do what an operator may, an operator what a viewer may. The owner
-- may give functions to the writer.
create or replace function rowcall_internal.memberships() returns table (role text, member text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    values ('rowcall_viewer', 'rowcall_operator'), ('rowcall_operator', 'rowcall_admin'), ('rowcall_writer', 'rowcall_owner')
$$;
