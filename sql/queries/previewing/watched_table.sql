-- The watched table of this name, with or without its schema, quoted or not; and the names of all, for the error if there
-- is none. By the catalogue: the role may lack the right to name things in that schema.
select (select min(s.relation::oid) from rowcall_internal.source_tables s
        join pg_class c on c.oid = s.relation join pg_namespace n on n.oid = c.relnamespace
        where $1::text in (format('%s.%s', n.nspname, c.relname), format('%I.%I', n.nspname, c.relname), c.relname::text,
            quote_ident(c.relname))
        having count(*) = 1) as relation,
    array(select format('%I.%I', n.nspname, c.relname) from rowcall_internal.source_tables s
          join pg_class c on c.oid = s.relation join pg_namespace n on n.oid = c.relnamespace order by 1) as names
