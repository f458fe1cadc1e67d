-- SQL text: the tasks of one source table (alias s) that these statuses ask for, once for a statement and not once for each
-- of its rows; before_it has the conditions of the owners that come before a task. Of the owners whose condition holds,
-- enabled ones come first, then the lowest route_order, then the name: a row thus has one owner, or, while all of them are
-- disabled, one that waits. What makes an owner is written out, as in is_owner.sql.
create or replace function rowcall_internal.routes_sql() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select $sql$select p.name, p.on_status, p.condition, s.relation,
                case when coalesce(p.status_running, p.status_succeeded, p.status_failed) is null then '{}'
                else array(
                    select o.condition from rowcall.parameters o
                    where o.source_table = p.source_table and o.on_status = p.on_status and o.name <> p.name
                      and coalesce(o.status_running, o.status_succeeded, o.status_failed) is not null
                      and (not o.enabled, o.route_order, o.name collate "C") < (not p.enabled, p.route_order, p.name collate "C"))
                end as before_it
            from rowcall_internal.source_tables s
            join rowcall.parameters p on p.source_table = s.relation$sql$
$$;
