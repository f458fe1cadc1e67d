-- Makes rowcall_owner the owner of schemas that are older than the roles, and of all that is in them, and grants what
-- the other roles need. Repeating it is safe.
do $$
declare
    statement text;
begin
    if to_regnamespace('rowcall') is null then
        return;
    end if;
    alter schema rowcall owner to rowcall_owner;
    alter schema rowcall_internal owner to rowcall_owner;
    -- All of them found before the first is run: a table that is being read cannot be altered.
    foreach statement in array array(
        select format('alter %s %s owner to rowcall_owner',
            case c.relkind when 'v' then 'view' else 'table' end, c.oid::regclass)
        from pg_class c
        where c.relnamespace in ('rowcall'::regnamespace, 'rowcall_internal'::regnamespace) and c.relkind in ('r', 'p', 'v')
          and c.relowner <> 'rowcall_owner'::regrole
        union all
        select format('alter function %s owner to rowcall_owner', p.oid::regprocedure)
        from pg_proc p
        where p.pronamespace in ('rowcall'::regnamespace, 'rowcall_internal'::regnamespace)
          and p.proowner not in ('rowcall_owner'::regrole, 'rowcall_writer'::regrole)
        union all
        select format('alter domain %s owner to rowcall_owner', t.oid::regtype)
        from pg_type t
        where t.typnamespace in ('rowcall'::regnamespace, 'rowcall_internal'::regnamespace) and t.typtype = 'd'
          and t.typowner <> 'rowcall_owner'::regrole
        union all
        select format('grant trigger on table %1$s to rowcall_owner; grant select, update on table %1$s to rowcall_writer', s.relation)
        from rowcall_internal.source_tables s join pg_class c on c.oid = s.relation
        where c.relnamespace not in ('rowcall'::regnamespace, 'rowcall_internal'::regnamespace)
        union all
        select distinct format('grant usage on schema %s to rowcall_owner, rowcall_writer', place::regnamespace)
        from rowcall_internal.source_tables s join pg_class c on c.oid = s.relation
        cross join lateral (
            select c.relnamespace as place
            union select t.typnamespace from pg_attribute a join pg_type t on t.oid = a.atttypid
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) places
        where c.relnamespace not in ('rowcall'::regnamespace, 'rowcall_internal'::regnamespace)
    ) loop
        execute statement;
    end loop;
    set local role rowcall_owner;
    perform rowcall_internal.apply_grants();
    reset role;
end
$$;
