-- SQL text: whether a row (alias n) that is in the status of a task (alias p) asks for that task: its condition holds, and
-- no other owner comes first. Of the owners whose condition holds, enabled ones come first, then the lowest route_order,
-- then the name; a row thus has one owner, or, while all of them are disabled, one that waits. What makes an owner is
-- written out, as in is_owner.sql, since a call for each row would cost a writer more than all else here.
create or replace function rowcall_internal.asks_sql() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select $sql$(p.condition is null or rowcall_internal.condition_holds(n.*, p.condition))
            and (coalesce(p.status_running, p.status_succeeded, p.status_failed) is null or not exists (
                select from rowcall.parameters o
                where o.source_table = p.source_table and o.on_status = p.on_status and o.name <> p.name
                  and coalesce(o.status_running, o.status_succeeded, o.status_failed) is not null
                  and (not o.enabled, o.route_order, o.name collate "C") < (not p.enabled, p.route_order, p.name collate "C")
                  and (o.condition is null or rowcall_internal.condition_holds(n.*, o.condition))))$sql$
$$;
