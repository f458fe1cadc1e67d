-- SQL text: makes the jobs that the rows of :rows ask for, also where a row has a job already; install_triggers() puts names in
-- place of :rows, :relation, :status_text, :key and :short_key.
create or replace function rowcall_internal.enqueue_sql() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select $sql$insert into rowcall_internal.jobs as j (task, source_table, row_key, short_key, on_status)
        select p.name, p.source_table, :key, :short_key, p.on_status
        from :rows n
        join rowcall.parameters p on p.source_table = :relation and p.on_status = :status_text
        where $sql$ || rowcall_internal.asks_sql() || rowcall_internal.ask_again_sql()
$$;
