-- Whether Rowcall's schema is here, by the catalogue, which any role may read.
select exists (
    select from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'rowcall' and c.relname = 'migrations')
