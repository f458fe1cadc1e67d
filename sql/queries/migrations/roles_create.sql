-- Makes the roles of Rowcall, if the caller may make roles. They are groups without a password, of which logins become
-- members. Roles belong to the whole server, so another database may have brought them already.
do $$
declare
    role text;
    part text[];
begin
    foreach role in array array['rowcall_owner', 'rowcall_writer', 'rowcall_dispatcher', 'rowcall_admin', 'rowcall_operator',
        'rowcall_viewer', 'rowcall_task'] loop
        begin
            if to_regrole(role) is null then
                execute format('create role %I nologin', role);
                if role = 'rowcall_owner' and not (select rolsuper from pg_roles where rolname = current_user) then
                    -- The maker of a role is not its member by that alone, and could not make the schema in its name.
                    execute format('grant rowcall_owner to %I', current_user);
                end if;
            end if;
        exception
            when duplicate_object or unique_violation then
                -- A migration of another database made it at the same moment.
            when insufficient_privilege then
                raise warning 'the role % is missing, and % may not create it: see "rowcall migrate --print-roles"',
                    role, current_user;
        end;
    end loop;
    -- rowcall_internal.memberships() has the same.
    foreach part slice 1 in array array[['rowcall_viewer', 'rowcall_operator'], ['rowcall_operator', 'rowcall_admin'], ['rowcall_writer', 'rowcall_owner']] loop
        begin
            if not pg_has_role(part[2], part[1], 'member') then
                execute format('grant %I to %I', part[1], part[2]);
            end if;
        exception when insufficient_privilege or undefined_object then
            -- They exist and are another's to grant, or are missing: "rowcall check --grants" names it.
        end;
    end loop;
end
$$;
