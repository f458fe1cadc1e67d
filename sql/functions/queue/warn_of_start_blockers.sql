-- Raises a notice if something keeps a task from starting; for callers that have just asked for a job of it.
create or replace function rowcall_internal.warn_of_start_blockers(task text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    against text := (select string_agg(h.reason, '; ') from rowcall_internal.start_blockers(task) h where not h.waits);
begin
    if against is not null then
        raise notice 'it will not start for now: %', against;
    end if;
end
$$;
