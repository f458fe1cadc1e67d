-- Every difference between the rights in the two schemas and rowcall_internal.grants(), with the statement that mends
-- it; besides, roles that are missing or may do too much, wrong owners, and missing rights on watched tables. "ours":
-- rowcall_internal.apply_grants() runs that statement. Rights of other roles are reported and left; USAGE on the schema
-- rowcall and rights on rowcall.files are not reported, because writers of rows need them. It runs with its owner's
-- rights, because viewers may not read rowcall_internal.
create or replace function rowcall.grants_wrong() returns table (ours boolean, problem text, fix text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
-- Planned for thousands of rows where there are hundreds: compiling would take seconds, running takes milliseconds.
set jit = off
as $$
    with home as (
        select oid, nspname as name, nspowner as owner, nspacl from pg_namespace
        where nspname in ('rowcall', 'rowcall_internal')
    ), object as (
        -- Of one kind, no two have the same name in the two schemas: grants() does without the schema's.
        select 'schema' as kind, oid, name, owner, nspacl as acl, 'n'::"char" as acl_kind, owner as schema_owner,
            format('schema %I', name) as target
        from home
        union all
        select case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end, c.oid, c.relname, c.relowner,
            c.relacl, case when c.relkind = 'S' then 's' else 'r' end::"char", home.owner,
            format('%s %I.%I', case when c.relkind = 'S' then 'sequence' else 'table' end, home.name, c.relname)
        from pg_class c join home on home.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'S') and c.relname !~ '^(history|ended_attempts)_(default|\d{8})$'
        union all
        select 'function', p.oid, regexp_replace(p.proname, '^(read_rows|mark_rows|mark_all|write_rows|write_results)_[\d_]+$', '\1_N'), p.proowner, p.proacl, 'f'::"char", home.owner,
            format('function %I.%I(%s)', home.name, p.proname, pg_get_function_identity_arguments(p.oid))
        from pg_proc p join home on home.oid = p.pronamespace
    ), live as (
        select o.target, o.kind, o.name, acl.grantee, acl.privilege_type as privilege, acl.is_grantable
        from object o, aclexplode(coalesce(o.acl, acldefault(o.acl_kind, o.owner))) as acl
        where acl.grantee <> o.owner
        union
        -- Of single columns.
        select o.target, o.kind, o.name, acl.grantee, format('%s (%I)', acl.privilege_type, a.attname), acl.is_grantable
        from pg_attribute a join object o on o.oid = a.attrelid and o.kind in ('table', 'view'), aclexplode(a.attacl) as acl
        where acl.grantee <> o.owner
    ), ours as (
        select distinct g.role, r.oid from rowcall_internal.grants() g left join pg_roles r on r.rolname = g.role
        union
        select 'rowcall_owner', (select oid from pg_roles where rolname = 'rowcall_owner')
    ), wanted as (
        select o.target, ours.oid as grantee, ours.role, p.privilege
        from rowcall_internal.grants() g
        cross join regexp_split_to_table(g.privileges, ', ') as p(privilege)
        cross join unnest(g.objects) as wanted_name
        join object o on o.kind = g.kind and o.name = wanted_name
        join ours on ours.role = g.role and ours.oid <> o.owner
    ), extra as (
        select l.*, coalesce(r.rolname, 'PUBLIC') as role, l.grantee = 0 or ours.oid is not null as ours,
            exists (select from wanted w where (w.target, w.grantee, w.privilege) = (l.target, l.grantee, l.privilege)) as wanted
        from live l left join pg_roles r on r.oid = l.grantee left join ours on ours.oid = l.grantee
    )
    select false, format('the role %s does not exist', role), 'rowcall migrate --print-roles'
    from ours where oid is null
    union all
    select true, format('%s lacks %s on %s', w.role, w.privilege, w.target),
        format('grant %s on %s to %I', lower(w.privilege), w.target, w.role)
    from wanted w
    where not exists (select from live l where (l.target, l.grantee, l.privilege) = (w.target, w.grantee, w.privilege))
    union all
    select ours, format('%s has %s on %s', role, privilege, target),
        format('revoke %s on %s from %s', lower(privilege), target, case when grantee = 0 then 'public' else quote_ident(role) end)
    from extra
    where not wanted
      and (ours or not (target = 'schema rowcall' and privilege = 'USAGE' or target = 'table rowcall.files'))
    union all
    select true, format('%s may grant %s on %s to others', role, privilege, target),
        format('revoke grant option for %s on %s from %I', lower(privilege), target, role)
    from extra where wanted and is_grantable
    union all
    select false, format('%s belongs to %s, the schema to %s', o.target, o.owner::regrole, o.schema_owner::regrole),
        format('alter %s owner to %s', o.target, o.schema_owner::regrole)
    from (
        select target, owner, schema_owner from object where kind <> 'sequence'
        union all
        select format('domain %I.%I', home.name, t.typname), t.typowner, home.owner
        from pg_type t join home on home.oid = t.typnamespace where t.typtype = 'd'
    ) o
    where o.owner <> o.schema_owner and not exists (
        select from object w where w.target = o.target and w.name = any (rowcall_internal.functions_of_writer())
            and w.owner = to_regrole('rowcall_writer'))
    union all
    select false, format('%s runs code of users with the rights of %s', o.target, o.owner::regrole),
        'rowcall migrate --print-roles, and then rowcall migrate'
    from object o
    where o.kind = 'function' and o.name = any (rowcall_internal.functions_of_writer()) and o.owner is distinct from to_regrole('rowcall_writer')
    union all
    select false, format('the schema %s belongs to %s, which may do more than rowcall_owner', home.name, home.owner::regrole),
        'rowcall migrate --print-roles'
    from home, ours where ours.role = 'rowcall_owner' and ours.oid <> home.owner
    union all
    select false, format('%s is %s', r.rolname, attribute), format('alter role %I no%s', r.rolname, attribute)
    from ours join pg_roles r on r.oid = ours.oid
    cross join lateral (values ('superuser', r.rolsuper), ('createrole', r.rolcreaterole), ('createdb', r.rolcreatedb),
        ('replication', r.rolreplication), ('bypassrls', r.rolbypassrls)) as a(attribute, has)
    where a.has
    union all
    select false, format('%s is a member of %s', ours.role, m.roleid::regrole),
        format('revoke %s from %I', m.roleid::regrole, ours.role)
    from ours join pg_auth_members m on m.member = ours.oid
    where not exists (select from rowcall_internal.memberships() w where (w.role, w.member) = (m.roleid::regrole::text, ours.role))
    union all
    select false, format('%s is no member of %s', w.member, w.role), format('grant %s to %s', w.role, w.member)
    from rowcall_internal.memberships() w join ours m on m.role = w.member join ours r on r.role = w.role
    where m.oid is not null and r.oid is not null
      and not exists (select from pg_auth_members a where a.member = m.oid and a.roleid = r.oid)
    union all
    select false, format('%s lacks %s on the watched table %s', needs.role::regrole, upper(needs.privilege), s.relation),
        format('grant %s on table %s to %s', needs.privilege, s.relation, needs.role::regrole)
    from rowcall_internal.source_tables s join pg_class c on c.oid = s.relation
    cross join (
        select home.owner as role, 'trigger' as privilege from home where home.name = 'rowcall'
        union all
        select o.owner, p from object o, unnest(array['select', 'update']) as p where o.kind = 'function' and o.name = 'write_back'
    ) needs
    where not has_table_privilege(needs.role, s.relation, needs.privilege)
    order by 2
$$;
