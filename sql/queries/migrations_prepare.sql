-- What the migrator needs before the first migration. "create schema if not exists" would ask for a right
-- that an upgrade by the schema's owner does not need, hence the look first.
do $$
begin
    if to_regnamespace('rowcall') is null then
        create schema rowcall;
    end if;
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
