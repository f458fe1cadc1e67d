-- What the migrator needs before the first migration. "create schema if not exists" would ask for a right that an
-- upgrade does not need, hence the look first.
do $$
declare
    owner name := (select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'rowcall');
    missing name;
begin
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception 'Rowcall needs a database with the encoding UTF8, and this one has %', current_setting('server_encoding')
            using errcode = '0A000', hint = 'Make one: CREATE DATABASE name ENCODING ''UTF8'' TEMPLATE template0; and move the data there.';
    end if;
    if to_regclass('rowcall.files') is not null and to_regnamespace('rowcall_internal') is null
        or owner is null and to_regnamespace('rowcall_internal') is not null
    then
        raise exception 'one of the schemas rowcall and rowcall_internal is here and the other is not'
            using errcode = '3F000',
                  hint = 'Restore the missing one from a backup, or drop the other with CASCADE and begin anew.';
    end if;
    for missing in
        select name from unnest('{rowcall,rowcall_internal}'::name[]) as name where to_regnamespace(name::text) is null
    loop
        -- A role that may act for rowcall_owner makes it the owner; any other owns the schemas itself. Both have one owner.
        begin
            execute format('create schema %I authorization %I', missing, coalesce(owner, 'rowcall_owner'));
        exception when insufficient_privilege or undefined_object then
            execute format('create schema %I', missing);
        end;
        select pg_get_userbyid(nspowner) into owner from pg_namespace where nspname = 'rowcall';
    end loop;
    -- What is made from here on is the owner's, whichever role migrates: functions run with their owner's rights.
    begin
        execute format('set local role %I', owner);
    exception when insufficient_privilege then
        raise exception 'the schema rowcall belongs to %, and % is no member of that role', owner, current_user
            using errcode = '42501', hint = format('As a superuser or %1$s: GRANT %1$I TO %2$I;', owner, current_user);
    end;
end
$$;
-- What exists already, or is dropped if it exists, need not be remarked upon.
set local client_min_messages = warning;
create table if not exists rowcall_internal.migrations (
    version int primary key,
    name text not null,
    oldest_daemon int not null,
    applied_at timestamptz not null default now()
);
create table if not exists rowcall_internal.functions (
    name text primary key,
    checksum text not null,
    interface text not null,
    applied_at timestamptz not null default now()
);
-- Functions may name each other in any order.
set local check_function_bodies = off;
