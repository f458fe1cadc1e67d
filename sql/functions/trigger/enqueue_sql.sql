-- SQL text: makes the jobs that the rows of :rows ask for, and returns the status of each; install_triggers() puts names in
-- place of :rows, :source, :status_text and :key.
create or replace function rowcall_internal.enqueue_sql() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select $sql$insert into rowcall_internal.jobs as j (task, source_table, row_key, on_status)
        select p.name, s.relation, :key, p.on_status
        from :rows n
        join rowcall_internal.source_tables s on s.id = :source
        join rowcall.parameters p on p.source_table = s.relation and p.on_status = :status_text
        where $sql$ || rowcall_internal.asks_sql() || rowcall_internal.ask_again_sql() || $sql$        returning j.on_status$sql$
$$;
