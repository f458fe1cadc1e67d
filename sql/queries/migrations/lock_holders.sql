-- The sessions that hold locks on Rowcall's tables, or its lock of migrations, in words.
select string_agg(distinct format('%s (process %s%s)', coalesce(a.usename, 'a background process'), l.pid,
    coalesce(', ' || nullif(a.application_name, ''), '')), ', ')
from pg_locks l left join pg_stat_activity a using (pid)
where l.pid <> pg_backend_pid() and l.granted and (
    l.locktype = 'advisory' and l.objid = hashtext('rowcall.migrate')::bigint & 4294967295
    or l.relation in (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
                      where n.nspname in ('rowcall', 'rowcall_internal')))
