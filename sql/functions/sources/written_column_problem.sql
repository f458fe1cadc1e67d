-- Why Rowcall cannot write this column of a table in this role, touch_column or external_id_column, or null; null or an empty
-- string names none. It is neither one of the others, the status and the key, nor too short for any name of a runner's.
create or replace function rowcall_internal.written_column_problem(source regclass, role text, column_name text, others text[])
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when coalesce(column_name, '') = '' then null
        when column_name = any (others) then format('%s %I of %s is the status or part of the key', role, column_name, source)
        when not exists (select from pg_attribute where attrelid = source and attname = column_name and attnum > 0 and not attisdropped)
            then format('%s: table %s has no column %I', role, source, column_name)
        when not exists (
            select from pg_attribute
            where attrelid = source and attname = column_name and attgenerated = '' and attidentity = '' and case role
                when 'touch_column' then atttypid in ('timestamptz'::regtype, 'timestamp'::regtype)
                else atttypid in ('text'::regtype, 'varchar'::regtype) and atttypmod = -1 end)
            then format('%s %I of %s must be of type %s, and not generated', role, column_name, source, case role
                when 'touch_column' then 'timestamptz or timestamp' else 'text, or varchar without a length' end) end
$$;
