-- Ends what rowcall.watch() began: no new jobs. Jobs not yet running are ended as cancelled; running ones end
-- as they will, and write nothing back.
create or replace function rowcall.unwatch(source regclass) returns void
language plpgsql
set search_path = pg_catalog
as $$
declare
    entry rowcall.source_tables := rowcall.source_of(source);
    member regclass;
begin
    for member in
        select tgrelid::regclass from pg_trigger
        where tgfoid in (to_regproc(format('rowcall.on_insert_%s', entry.id)),
                         to_regproc(format('rowcall.on_update_%s', entry.id)))
        group by tgrelid
    loop
        execute format('drop trigger if exists rowcall_insert on %s', member);
        execute format('drop trigger if exists rowcall_update on %s', member);
    end loop;
    execute format('drop function if exists rowcall.on_insert_%s()', entry.id);
    execute format('drop function if exists rowcall.on_update_%s()', entry.id);
    delete from rowcall.source_tables where relation = source;
    with ended as (
        delete from rowcall.jobs j where j.source_table = source and j.state <> 'running' returning j.*
    )
    insert into rowcall.history (job_id, task, source_table, row_key, on_status, outcome, attempts, message, created)
    select id, task, source_table, row_key, on_status, 'CANCELLED', attempts, 'the table is no longer watched', created
    from ended;
end
$$;
