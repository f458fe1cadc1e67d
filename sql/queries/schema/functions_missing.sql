-- Of the functions that this program brings, those that the schema lacks.
select brought.name from unnest($1::text[]) as brought(name)
where not exists (
    select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where p.proname = brought.name and n.nspname in ('rowcall', 'rowcall_internal'))
order by 1
