-- Where Locaria keeps its parameters and its files in schema $1: quoted names, null for a table that is not there.
select quote_ident($1) as schema,
    exists (select from pg_catalog.pg_namespace where nspname = $1) as schema_exists,
    (select format('%I.%I', n.nspname, c.relname)
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = 'parameters' and c.relkind in ('r', 'p', 'v')) as parameters,
    (select format('%I.%I', n.nspname, c.relname)
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = 'files' and c.relkind in ('r', 'p')) as files
