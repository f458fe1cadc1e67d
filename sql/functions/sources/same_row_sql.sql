-- SQL text: the condition that a row of a source table (alias t) is the one that was just locked (alias w: its place in the table,
-- at, and the part of the table, part), for a statement that writes what it has locked. A join by the key would read all rows, for
-- each that it writes, by a plan of when the table was last analyzed empty. A partitioned table is joined by its key,
-- which says in which part to look.
create or replace function rowcall_internal.same_row_sql(source rowcall_internal.source_tables) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when (select c.relkind from pg_class c where c.oid = source.relation) = 'p'
        then rowcall_internal.key_match_sql(source, 't', 'w.key')
        else 't.ctid = w.at and t.tableoid = w.part' end
$$;
