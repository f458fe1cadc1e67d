-- Whether Rowcall's schema is here, by the catalogue, which any role may read, and whether this login may use it.
select quote_ident(session_user) as login, n.oid is not null as is_there, coalesce(has_schema_privilege(n.oid, 'usage'), false) as may_use
from (select 1) one
left join pg_namespace n on n.nspname = 'rowcall' and exists (
    select from pg_class c where c.relnamespace = n.oid and c.relname = 'migrations')
