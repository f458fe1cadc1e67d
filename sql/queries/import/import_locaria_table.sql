-- What an import must know of a table ($1); no row if there is no such table.
select format('%I.%I', n.nspname, c.relname) as name,
    exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary) as has_key,
    exists (select from pg_catalog.pg_attribute a
            where a.attrelid = c.oid and a.attname = 'status' and not a.attisdropped) as has_status,
    exists (select from pg_catalog.pg_attribute a
            where a.attrelid = c.oid and a.attname = 'attributes' and a.atttypid = 'pg_catalog.jsonb'::regtype
              and not a.attisdropped) as has_attributes,
    exists (select from rowcall.source_tables s where s.relation = c.oid) as watched,
    exists (select from pg_catalog.pg_trigger t
            where t.tgrelid = c.oid and t.tgname = 'rowcall_keep_deleted') as keeps_deleted
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = to_regclass($1) and c.relkind in ('r', 'p')
