-- What the role with which tasks connect ($1) may do beyond rowcall_task, or lacks, with the statement that mends it.
with role as (
    select r.oid, r.rolname, r.rolsuper from pg_roles r where r.rolname = $1
)
select format('the role of tasks.database_url, %s, does not exist here', $1::text) as problem,
    format('create role %I login in role rowcall_task', $1::text) as fix
where not exists (select from role)
union all
select format('the role of tasks.database_url, %s, is a superuser', rolname), 'name a login that is only in rowcall_task'
from role where rolsuper
union all
select format('the role of tasks.database_url, %s, is a member of %s', rolname, more), format('revoke %s from %I', more, rolname)
from role cross join unnest(array['rowcall_owner', 'rowcall_writer', 'rowcall_dispatcher', 'rowcall_admin', 'rowcall_operator', 'rowcall_viewer']) as more
where not rolsuper and to_regrole(more) is not null and pg_has_role(rolname, to_regrole(more), 'member')
union all
select format('the role of tasks.database_url, %s, is no member of rowcall_task', rolname), format('grant rowcall_task to %I', rolname)
from role
where not rolsuper and to_regrole('rowcall_task') is not null and not pg_has_role(rolname, to_regrole('rowcall_task'), 'member')
