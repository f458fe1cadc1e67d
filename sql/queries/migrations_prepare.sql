-- What the migrator needs before the first migration. "create schema if not exists" would ask for a right that an
-- upgrade does not need, hence the look first.
do $$
declare
    owner name := (select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'rowcall');
begin
    if owner is null then
        -- Whoever may act for rowcall_owner makes it the owner; everybody else owns the schema themselves.
        begin
            create schema rowcall authorization rowcall_owner;
        exception when insufficient_privilege or undefined_object then
            create schema rowcall;
        end;
        select pg_get_userbyid(nspowner) into owner from pg_namespace where nspname = 'rowcall';
    end if;
    -- What is made from here on is the owner's, whoever migrates: functions run with their owner's rights.
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
create table if not exists rowcall.migrations (
    version int primary key,
    name text not null,
    oldest_daemon int not null,
    applied timestamptz not null default now()
);
create table if not exists rowcall.functions (
    name text primary key,
    checksum text not null,
    applied timestamptz not null default now()
);
-- Functions may name each other in any order.
set local check_function_bodies = off;
