-- Whether a table that has the triggers of a source table is neither that nor one of its partitions: one that was detached keeps
-- them, and its rows are no longer the source table's.
create or replace function rowcall_internal.is_detached(relation oid, source int) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select not exists (
        select from rowcall_internal.source_tables s where s.id = source and (s.relation = is_detached.relation
            or s.relation in (select relid from pg_partition_ancestors(is_detached.relation))))
$$;
