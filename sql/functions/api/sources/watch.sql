-- Makes a table a source table: grants Rowcall's owner SELECT, UPDATE and TRIGGER on it, installs the triggers, and
-- registers it. Repeating it is safe, and takes up a changed key and new partitions.
--
-- Rows are named by the table's primary key, or by "key": the columns of another unique index, none of them null.
--
-- It runs with its caller's rights: the caller must be able to make these grants, or the table's owner has made them.
create or replace function rowcall.watch(source regclass, status_column text default 'status', key text[] default null)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    owner name := (select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'rowcall');
    home name := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = source);
    place name;
    member regclass;
begin
    begin
        -- The table's own schema, and those of its columns' types: a status is cast to its type by name.
        for place in
            select nspname from pg_namespace where nspname = home or oid in (
                select t.typnamespace from pg_attribute a join pg_type t on t.oid = a.atttypid
                where a.attrelid = source and a.attnum > 0 and not a.attisdropped)
        loop
            if not has_schema_privilege(owner, place, 'usage') then
                execute format('grant usage on schema %I to %I', place, owner);
            end if;
        end loop;
        -- A trigger on a partition takes a right on the partition.
        for member in
            select source union select relid from pg_partition_tree(source)
        loop
            if not (has_table_privilege(owner, member, 'select') and has_table_privilege(owner, member, 'update')
                    and has_table_privilege(owner, member, 'trigger')) then
                execute format('grant select, update, trigger on table %s to %I', member, owner);
            end if;
        end loop;
    exception when insufficient_privilege then
        -- Not an error by itself; what is missing is found below.
    end;
    -- A GRANT without the right to grant is only a warning.
    if not (has_schema_privilege(owner, home, 'usage') and has_table_privilege(owner, source, 'select')
            and has_table_privilege(owner, source, 'update') and has_table_privilege(owner, source, 'trigger')) then
        raise exception 'rowcall.watch: % may not select from, update and put triggers on %', owner, source
            using errcode = '42501',
                  hint = format('As the owner of the table: GRANT USAGE ON SCHEMA %I TO %I; '
                      'GRANT SELECT, UPDATE, TRIGGER ON %s TO %2$I;', home, owner, source);
    end if;
    -- A row that Rowcall cannot see would look like one that is gone.
    if exists (select from pg_class where oid = source and relrowsecurity)
       and not (select rolsuper or rolbypassrls from pg_roles where rolname = owner) then
        raise warning 'rowcall.watch: % has row security: % sees only the rows that its policies let through', source, owner
            using hint = format('CREATE POLICY rowcall ON %s TO %I USING (true);', source, owner);
    end if;
    perform rowcall.register_source(source, status_column, key);
end
$$;
