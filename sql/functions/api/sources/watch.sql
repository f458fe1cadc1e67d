-- Makes a table a source table: grants rowcall_writer SELECT and UPDATE on it and Rowcall's owner TRIGGER, installs the
-- triggers, and registers it. Repeating it is safe, and takes up a changed key and new partitions.
--
-- Rows are named by the table's primary key, or by "key": the columns of another unique index, none of them null. Every write of
-- ours sets touch_column to now() (last_update, if the table has one), and external_id_column gets the runner's name of an
-- attempt when it is launched. What was named once is kept until another is; an empty string names none.
--
-- It runs with its caller's rights: the caller must be able to make these grants, or the table's owner has made them.
create or replace function rowcall.watch(
    source regclass, status_column text default 'status', key text[] default null, touch_column text default null,
    external_id_column text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    owner name := (select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'rowcall');
    -- By the catalogue: the caller may not name what is in rowcall_internal.
    writer name := (select pg_get_userbyid(p.proowner) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'rowcall_internal' and p.proname = 'write_back');
    role name;
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
            foreach role in array array[owner, writer] loop
                -- A GRANT without the right to grant is a warning for each; below is one error that says what is missing.
                if not has_schema_privilege(role, place, 'usage') and has_schema_privilege(place, 'usage with grant option') then
                    execute format('grant usage on schema %I to %I', place, role);
                end if;
            end loop;
        end loop;
        -- A trigger on a partition takes a right on the partition.
        for member in
            select source union select relid from pg_partition_tree(source)
        loop
            if not has_table_privilege(owner, member, 'trigger') and has_table_privilege(member, 'trigger with grant option') then
                execute format('grant trigger on table %s to %I', member, owner);
            end if;
            if not (has_table_privilege(writer, member, 'select') and has_table_privilege(writer, member, 'update'))
                and has_table_privilege(member, 'select with grant option') and has_table_privilege(member, 'update with grant option')
            then
                execute format('grant select, update on table %s to %I', member, writer);
            end if;
        end loop;
    exception when insufficient_privilege then
        -- Not an error by itself; what is missing is found below.
    end;
    if not (has_schema_privilege(owner, home, 'usage') and has_table_privilege(owner, source, 'trigger')
            and has_schema_privilege(writer, home, 'usage') and has_table_privilege(writer, source, 'select')
            and has_table_privilege(writer, source, 'update')) then
        raise exception 'rowcall.watch: % may not put triggers on %, or % may not read and write it', owner, source, writer
            using errcode = '42501',
                  hint = format('As the owner of the table: GRANT USAGE ON SCHEMA %I TO %I, %I; '
                      'GRANT TRIGGER ON %s TO %2$I; GRANT SELECT, UPDATE ON %4$s TO %3$I;', home, owner, writer, source);
    end if;
    -- A row that Rowcall cannot see would look like one that is gone.
    if exists (select from pg_class where oid = source and relrowsecurity)
       and not (select rolsuper or rolbypassrls from pg_roles where rolname = writer) then
        raise warning 'rowcall.watch: % has row security: % sees only the rows that its policies let through', source, writer
            using hint = format('CREATE POLICY rowcall ON %s TO %I USING (true);', source, writer);
    end if;
    perform rowcall.register_source(source, status_column, key, touch_column, external_id_column);
end
$$;
